ALTER TABLE shipping_shipments ADD COLUMN warehouse BINARY(16) NULL;
ALTER TABLE shipping_shipments ADD COLUMN split_from BINARY(16) NULL;
ALTER TABLE shipping_shipments ADD COLUMN cancelled_at BIGINT NULL;
ALTER TABLE shipping_shipments ADD COLUMN returned_at BIGINT NULL;
ALTER TABLE shipping_shipments ADD COLUMN tracking_count BIGINT NOT NULL DEFAULT 0;
ALTER TABLE shipping_shipments ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
CREATE INDEX shipping_shipments_opened ON shipping_shipments (opened_at, shipment);
CREATE INDEX shipping_shipments_status_opened ON shipping_shipments (status, opened_at, shipment);
CREATE INDEX shipping_shipments_warehouse ON shipping_shipments (warehouse, opened_at, shipment);
CREATE INDEX shipping_shipments_carrier ON shipping_shipments (carrier, opened_at, shipment);
CREATE INDEX shipping_shipments_account ON shipping_shipments (account);
CREATE TABLE shipping_gates (
    order_id BINARY(16) NOT NULL PRIMARY KEY,
    holds BIGINT NOT NULL,
    cancelled_at BIGINT NULL,
    latest_at BIGINT NOT NULL
);
CREATE TABLE shipping_holds (
    hold BINARY(16) NOT NULL PRIMARY KEY,
    order_id BINARY(16) NOT NULL,
    status VARCHAR(16) NOT NULL,
    held_at BIGINT NULL,
    held_trace VARCHAR(32) NULL,
    ended_at BIGINT NULL,
    ended_trace VARCHAR(32) NULL
);
CREATE INDEX shipping_holds_order ON shipping_holds (order_id);
CREATE TABLE shipping_history (
    shipment BINARY(16) NOT NULL,
    version BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    actor BINARY(16) NULL,
    trace_id VARCHAR(32) NULL,
    message BINARY(16) NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (shipment, version)
);
CREATE TABLE shipping_tracking_events (
    shipment BINARY(16) NOT NULL,
    happened_at BIGINT NOT NULL,
    code VARCHAR(24) NOT NULL,
    place VARCHAR(200) NULL,
    words VARCHAR(1000) NULL,
    recorded_at BIGINT NOT NULL,
    actor BINARY(16) NULL,
    trace_id VARCHAR(32) NULL,
    PRIMARY KEY (shipment, happened_at, code)
);
CREATE TABLE shipping_erased (
    account BINARY(16) NOT NULL PRIMARY KEY,
    erased_at BIGINT NOT NULL
);
INSERT INTO shipping_gates (order_id, holds, cancelled_at, latest_at)
 SELECT order_id, 0, NULL, MAX(COALESCE(delivered_at, dispatched_at, opened_at)) FROM shipping_shipments
 WHERE order_id NOT IN (SELECT order_id FROM shipping_gates) GROUP BY order_id;
INSERT INTO shipping_history (shipment, version, recorded_at, actor, trace_id, message, body)
 SELECT shipment, 1, opened_at, NULL, NULL, NULL, '{"change":"opened"}' FROM shipping_shipments
 WHERE shipment NOT IN (SELECT shipment FROM shipping_history WHERE version = 1);
INSERT INTO shipping_history (shipment, version, recorded_at, actor, trace_id, message, body)
 SELECT shipment, 2, dispatched_at, NULL, NULL, NULL, '{"change":"dispatched"}' FROM shipping_shipments
 WHERE dispatched_at IS NOT NULL AND shipment NOT IN (SELECT shipment FROM shipping_history WHERE version = 2);
INSERT INTO shipping_history (shipment, version, recorded_at, actor, trace_id, message, body)
 SELECT shipment, 3, delivered_at, NULL, NULL, NULL, '{"change":"delivered"}' FROM shipping_shipments
 WHERE delivered_at IS NOT NULL AND shipment NOT IN (SELECT shipment FROM shipping_history WHERE version = 3);
UPDATE shipping_shipments SET version = CASE status WHEN 'delivered' THEN 3 WHEN 'dispatched' THEN 2 ELSE 1 END

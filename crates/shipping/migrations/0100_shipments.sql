CREATE TABLE shipping_shipments (
    shipment BINARY(16) NOT NULL PRIMARY KEY,
    order_id BINARY(16) NOT NULL,
    account BINARY(16) NOT NULL,
    address BINARY(16) NOT NULL,
    method VARCHAR(16) NOT NULL,
    status VARCHAR(16) NOT NULL,
    carrier VARCHAR(64) NULL,
    tracking_number VARCHAR(64) NULL,
    opened_at BIGINT NOT NULL,
    dispatched_at BIGINT NULL,
    delivered_at BIGINT NULL
);
CREATE INDEX shipping_shipments_status ON shipping_shipments (status, shipment);
CREATE INDEX shipping_shipments_order ON shipping_shipments (order_id);
CREATE TABLE shipping_shipment_lines (
    shipment BINARY(16) NOT NULL,
    sku VARCHAR(64) NOT NULL,
    quantity BIGINT NOT NULL,
    PRIMARY KEY (shipment, sku)
)

ALTER TABLE ordering_orders ADD COLUMN order_number VARCHAR(16);
CREATE UNIQUE INDEX ordering_orders_number ON ordering_orders (order_number);
ALTER TABLE ordering_orders ADD COLUMN status VARCHAR(20) NOT NULL DEFAULT '';
ALTER TABLE ordering_orders ADD COLUMN guest BIGINT NOT NULL DEFAULT 0;
ALTER TABLE ordering_orders ADD COLUMN cancel_refused_at BIGINT;
ALTER TABLE ordering_orders ADD COLUMN cancel_refusal VARCHAR(100);
ALTER TABLE ordering_orders DROP COLUMN shipment_id;
ALTER TABLE ordering_orders DROP COLUMN carrier;
ALTER TABLE ordering_orders DROP COLUMN tracking_number;
CREATE INDEX ordering_orders_status ON ordering_orders (status, order_id);
CREATE INDEX ordering_orders_payment ON ordering_orders (payment_axis, order_id);
CREATE INDEX ordering_orders_created_at ON ordering_orders (created_at, order_id);
ALTER TABLE ordering_lines ADD COLUMN shipped BIGINT NOT NULL DEFAULT 0;
ALTER TABLE ordering_lines ADD COLUMN delivered BIGINT NOT NULL DEFAULT 0;
ALTER TABLE ordering_lines ADD COLUMN search_text VARCHAR(700) NOT NULL DEFAULT '';
CREATE INDEX ordering_lines_sku ON ordering_lines (sku, order_id);
CREATE TABLE ordering_shipments (
    order_id BINARY(16) NOT NULL,
    shipment_id BINARY(16) NOT NULL,
    shipment_number BIGINT NOT NULL,
    carrier VARCHAR(100),
    tracking_number VARCHAR(100),
    packed MEDIUMTEXT NOT NULL,
    opened_at BIGINT NOT NULL,
    dispatched_at BIGINT,
    delivered_at BIGINT,
    PRIMARY KEY (order_id, shipment_id)
);
CREATE TABLE ordering_notes (
    note_id BINARY(16) NOT NULL PRIMARY KEY,
    order_id BINARY(16) NOT NULL,
    author BINARY(16) NOT NULL,
    by_staff BIGINT NOT NULL,
    for_buyer BIGINT NOT NULL,
    about VARCHAR(16) NOT NULL,
    body VARCHAR(1000) NOT NULL,
    erased BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX ordering_notes_order ON ordering_notes (order_id, note_id);
CREATE INDEX ordering_notes_author ON ordering_notes (author, note_id);
CREATE TABLE ordering_note_counts (
    order_id BINARY(16) NOT NULL PRIMARY KEY,
    by_buyer BIGINT NOT NULL,
    by_staff BIGINT NOT NULL
);
CREATE TABLE ordering_purchases (
    account_id BINARY(16) NOT NULL,
    sku VARCHAR(64) NOT NULL,
    bought BIGINT NOT NULL,
    PRIMARY KEY (account_id, sku)
);
CREATE TABLE ordering_shapes (
    projection VARCHAR(60) NOT NULL PRIMARY KEY,
    shape BIGINT NOT NULL
)

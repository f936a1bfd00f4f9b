ALTER TABLE ordering_orders ADD COLUMN refunded_minor BIGINT NOT NULL DEFAULT 0;
ALTER TABLE ordering_shipments ADD COLUMN returned_at BIGINT

ALTER TABLE ordering_orders ADD COLUMN reservation_id BINARY(16);
ALTER TABLE ordering_orders ADD COLUMN revived_at BIGINT;
CREATE INDEX ordering_orders_reservation ON ordering_orders (reservation_id)

ALTER TABLE shipping_shipments ADD COLUMN case_id BINARY(16) NULL;

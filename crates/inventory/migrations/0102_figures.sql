ALTER TABLE inventory_stock ADD COLUMN returned BIGINT NOT NULL DEFAULT 0;
ALTER TABLE inventory_stock ADD COLUMN written_off BIGINT NOT NULL DEFAULT 0;
ALTER TABLE inventory_stock ADD COLUMN in_transit BIGINT NOT NULL DEFAULT 0;
ALTER TABLE inventory_stock ADD COLUMN transferred BIGINT NOT NULL DEFAULT 0;
ALTER TABLE inventory_stock ADD COLUMN threshold BIGINT NOT NULL DEFAULT 0;
ALTER TABLE inventory_stock ADD COLUMN threshold_version BIGINT NOT NULL DEFAULT 0;
CREATE INDEX inventory_stock_warehouse ON inventory_stock (warehouse, sku);
ALTER TABLE inventory_warehouses ADD COLUMN active BIGINT NOT NULL DEFAULT 1;
ALTER TABLE inventory_warehouses ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE inventory_warehouses ADD COLUMN uses BIGINT NOT NULL DEFAULT 0;
ALTER TABLE inventory_orphans ADD COLUMN ended_at BIGINT NULL

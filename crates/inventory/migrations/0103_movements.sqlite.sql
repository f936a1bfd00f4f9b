CREATE TABLE inventory_movements_new (
    reference BINARY(16) NOT NULL,
    kind VARCHAR(16) NOT NULL,
    sku VARCHAR(64) NOT NULL,
    warehouse BINARY(16) NOT NULL,
    quantity BIGINT NOT NULL,
    reason VARCHAR(500) NULL,
    account BINARY(16) NULL,
    moved_at BIGINT NOT NULL,
    reservation BINARY(16) NULL,
    PRIMARY KEY (reference, kind, sku, warehouse)
);
INSERT INTO inventory_movements_new
 (reference, kind, sku, warehouse, quantity, reason, account, moved_at, reservation)
 SELECT reference, kind, sku, warehouse, quantity, reason, account, moved_at,
 CASE WHEN kind IN ('reserved', 'released', 'sold') THEN reference ELSE NULL END FROM inventory_movements;
DROP TABLE inventory_movements;
ALTER TABLE inventory_movements_new RENAME TO inventory_movements;
CREATE INDEX inventory_movements_sku ON inventory_movements (sku, moved_at, reference, kind)

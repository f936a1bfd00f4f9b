ALTER TABLE inventory_movements MODIFY kind VARCHAR(16) NOT NULL, MODIFY reason VARCHAR(500) NULL,
 ADD COLUMN reservation BINARY(16) NULL,
 DROP PRIMARY KEY, ADD PRIMARY KEY (reference, kind, sku, warehouse);
UPDATE inventory_movements SET reservation = reference WHERE kind IN ('reserved', 'released', 'sold')

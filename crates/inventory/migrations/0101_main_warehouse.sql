INSERT INTO inventory_warehouses (warehouse, code, name, priority)
VALUES (X'00000000000000000000000000000001', 'main', 'Main warehouse', 1)

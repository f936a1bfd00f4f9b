CREATE TABLE accounts_roles (
    name VARCHAR(40) NOT NULL PRIMARY KEY,
    permissions VARCHAR(1000) NOT NULL,
    built_in BIGINT NOT NULL,
    version BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);
INSERT INTO accounts_roles (name, permissions, built_in, version, changed_at) VALUES
    ('customer', 'shop', 1, 1, 0),
    ('guest', 'shop', 1, 1, 0),
    ('support', 'orders_read,orders_write,shipments_read,payments_read,accounts_read,accounts_write,notifications_read', 1, 1, 0),
    ('product_manager', 'catalogue_read,catalogue_write,inventory_read', 1, 1, 0),
    ('operator', 'orders_read,orders_write,catalogue_read,catalogue_write,inventory_read,inventory_write,shipments_read,shipments_write,payments_read,payments_write,accounts_read,accounts_write,audit_read,notifications_read,notifications_write', 1, 1, 0),
    ('warehouse', 'inventory_read,inventory_write,shipments_read,shipments_write', 1, 1, 0),
    ('administrator', 'shop,orders_read,orders_write,catalogue_read,catalogue_write,inventory_read,inventory_write,shipments_read,shipments_write,payments_read,payments_write,accounts_read,accounts_write,staff_write,audit_read,notifications_read,notifications_write,operate', 1, 1, 0);
CREATE TABLE accounts_guards (
    name VARCHAR(40) NOT NULL PRIMARY KEY,
    passes BIGINT NOT NULL
);
INSERT INTO accounts_guards (name, passes) VALUES ('staff', 0), ('guesses', 0), ('roles', 0)

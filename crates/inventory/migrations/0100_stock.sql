CREATE TABLE inventory_warehouses (
    warehouse BINARY(16) NOT NULL PRIMARY KEY,
    code VARCHAR(32) NOT NULL,
    name VARCHAR(64) NOT NULL,
    priority BIGINT NOT NULL
);
CREATE UNIQUE INDEX inventory_warehouses_code ON inventory_warehouses (code);
CREATE TABLE inventory_stock (
    sku VARCHAR(64) NOT NULL,
    warehouse BINARY(16) NOT NULL,
    available BIGINT NOT NULL,
    reserved BIGINT NOT NULL,
    sold BIGINT NOT NULL,
    received BIGINT NOT NULL,
    adjusted BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (sku, warehouse)
);
CREATE TABLE inventory_reservations (
    reservation BINARY(16) NOT NULL PRIMARY KEY,
    status VARCHAR(8) NOT NULL,
    version BIGINT NOT NULL,
    opened_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);
CREATE INDEX inventory_reservations_status ON inventory_reservations (status, opened_at);
CREATE TABLE inventory_movements (
    reference BINARY(16) NOT NULL,
    kind VARCHAR(8) NOT NULL,
    sku VARCHAR(64) NOT NULL,
    warehouse BINARY(16) NOT NULL,
    quantity BIGINT NOT NULL,
    reason VARCHAR(200) NULL,
    account BINARY(16) NULL,
    moved_at BIGINT NOT NULL,
    PRIMARY KEY (reference, kind, sku)
);
CREATE INDEX inventory_movements_sku ON inventory_movements (sku, moved_at, reference, kind);
CREATE TABLE inventory_orphans (
    reservation BINARY(16) NOT NULL PRIMARY KEY,
    raised_at BIGINT NOT NULL
)

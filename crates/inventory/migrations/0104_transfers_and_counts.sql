CREATE TABLE inventory_transfers (
    transfer BINARY(16) NOT NULL PRIMARY KEY,
    source BINARY(16) NOT NULL,
    target BINARY(16) NOT NULL,
    status VARCHAR(8) NOT NULL,
    version BIGINT NOT NULL,
    reason VARCHAR(500) NOT NULL,
    sent_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);
CREATE INDEX inventory_transfers_status ON inventory_transfers (status, transfer);
CREATE TABLE inventory_transfer_lines (
    transfer BINARY(16) NOT NULL,
    sku VARCHAR(64) NOT NULL,
    sent BIGINT NOT NULL,
    arrived BIGINT NULL,
    PRIMARY KEY (transfer, sku)
);
CREATE TABLE inventory_counts (
    stock_count BINARY(16) NOT NULL PRIMARY KEY,
    warehouse BINARY(16) NOT NULL,
    status VARCHAR(10) NOT NULL,
    version BIGINT NOT NULL,
    reason VARCHAR(500) NOT NULL,
    opened_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);
CREATE INDEX inventory_counts_status ON inventory_counts (status, stock_count);
CREATE TABLE inventory_count_lines (
    stock_count BINARY(16) NOT NULL,
    sku VARCHAR(64) NOT NULL,
    counted BIGINT NULL,
    expected BIGINT NULL,
    difference BIGINT NULL,
    entered_at BIGINT NULL,
    PRIMARY KEY (stock_count, sku)
)

CREATE TABLE accounts_addresses (
    id BINARY(16) NOT NULL PRIMARY KEY,
    account BINARY(16) NOT NULL,
    country VARCHAR(2) NOT NULL,
    region VARCHAR(100) NOT NULL,
    city VARCHAR(100) NOT NULL,
    line1 VARCHAR(200) NOT NULL,
    line2 VARCHAR(200) NOT NULL,
    postcode VARCHAR(16) NOT NULL,
    recipient VARCHAR(80) NOT NULL,
    phone VARCHAR(20) NOT NULL,
    created_at BIGINT NOT NULL,
    retired_at BIGINT,
    replaced_by BINARY(16)
);
CREATE INDEX accounts_addresses_account ON accounts_addresses (account, created_at)

CREATE TABLE accounts_accounts (
    id BINARY(16) NOT NULL PRIMARY KEY,
    email VARCHAR(254) NOT NULL,
    name VARCHAR(80) NOT NULL,
    password_hash VARCHAR(200) NOT NULL,
    roles VARCHAR(200) NOT NULL,
    address_count BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX accounts_accounts_email ON accounts_accounts (email)

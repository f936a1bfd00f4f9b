CREATE TABLE accounts_api_keys (
    id BINARY(16) NOT NULL PRIMARY KEY,
    account BINARY(16) NOT NULL,
    name VARCHAR(80) NOT NULL,
    hash BINARY(32) NOT NULL,
    scopes VARCHAR(1000) NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    used_at BIGINT,
    revoked_at BIGINT
);
CREATE INDEX accounts_api_keys_account ON accounts_api_keys (account, id)

CREATE TABLE accounts_erasures (
    account BINARY(16) NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL
);
CREATE INDEX accounts_erasures_at ON accounts_erasures (at)

CREATE TABLE accounts_codes (
    id BINARY(16) NOT NULL PRIMARY KEY,
    account BINARY(16) NOT NULL,
    purpose VARCHAR(40) NOT NULL,
    generation BIGINT NOT NULL,
    guesses BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);
CREATE UNIQUE INDEX accounts_codes_account ON accounts_codes (account, purpose)

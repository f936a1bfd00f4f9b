CREATE TABLE accounts_sessions (
    id BINARY(16) NOT NULL PRIMARY KEY,
    account BINARY(16) NOT NULL,
    client VARCHAR(200) NOT NULL,
    network BINARY(32) NOT NULL,
    created_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at BIGINT
);
CREATE INDEX accounts_sessions_account ON accounts_sessions (account, created_at);
CREATE INDEX accounts_sessions_ended_at ON accounts_sessions (ended_at);
CREATE INDEX accounts_sessions_expires_at ON accounts_sessions (expires_at);
CREATE TABLE accounts_refresh_tokens (
    hash BINARY(32) NOT NULL PRIMARY KEY,
    session BINARY(16) NOT NULL,
    expires_at BIGINT NOT NULL,
    replaced_at BIGINT
);
CREATE INDEX accounts_refresh_tokens_expires_at ON accounts_refresh_tokens (expires_at)

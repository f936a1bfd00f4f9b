CREATE TABLE accounts_audit (
    sequence BIGINT NOT NULL PRIMARY KEY,
    message BINARY(16) NOT NULL,
    at BIGINT NOT NULL,
    actor BINARY(16) NOT NULL,
    action VARCHAR(100) NOT NULL,
    object VARCHAR(100) NOT NULL,
    reason MEDIUMTEXT,
    detail MEDIUMTEXT NOT NULL,
    prev_hash BINARY(32) NOT NULL,
    hash BINARY(32) NOT NULL
);
CREATE UNIQUE INDEX accounts_audit_message ON accounts_audit (message);
CREATE INDEX accounts_audit_actor ON accounts_audit (actor, sequence);
CREATE INDEX accounts_audit_object ON accounts_audit (object, sequence);
CREATE INDEX accounts_audit_action ON accounts_audit (action, sequence);
CREATE TABLE accounts_audit_head (
    id BIGINT NOT NULL PRIMARY KEY,
    sequence BIGINT NOT NULL,
    hash BINARY(32) NOT NULL
);
INSERT INTO accounts_audit_head (id, sequence, hash) VALUES (1, 0, X'0000000000000000000000000000000000000000000000000000000000000000')

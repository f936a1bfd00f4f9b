CREATE TABLE notification_webhooks (
    webhook BINARY(16) NOT NULL PRIMARY KEY,
    url VARCHAR(2000) NOT NULL,
    types VARCHAR(2000) NOT NULL,
    description VARCHAR(200) NOT NULL,
    signature VARCHAR(8) NOT NULL,
    state VARCHAR(8) NOT NULL,
    disabled_because VARCHAR(16) NOT NULL,
    version BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    failing_since BIGINT NULL,
    last_success_at BIGINT NULL,
    last_failure_at BIGINT NULL,
    created_at BIGINT NOT NULL
);
CREATE TABLE notification_webhook_secrets (
    secret BINARY(16) NOT NULL PRIMARY KEY,
    webhook BINARY(16) NOT NULL,
    bytes VARBINARY(64) NOT NULL,
    made_at BIGINT NOT NULL,
    expires_at BIGINT NULL
);
CREATE INDEX notification_webhook_secrets_webhook ON notification_webhook_secrets (webhook);
CREATE TABLE notification_webhook_messages (
    message BINARY(16) NOT NULL PRIMARY KEY,
    type VARCHAR(100) NOT NULL,
    body MEDIUMTEXT NOT NULL,
    happened_at BIGINT NOT NULL,
    taken_at BIGINT NOT NULL
);
CREATE INDEX notification_webhook_messages_taken_at ON notification_webhook_messages (taken_at);
CREATE TABLE notification_webhook_deliveries (
    webhook BINARY(16) NOT NULL,
    message BINARY(16) NOT NULL,
    state VARCHAR(9) NOT NULL,
    tries BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    next_at BIGINT NULL,
    delivered_at BIGINT NULL,
    PRIMARY KEY (webhook, message)
);
CREATE INDEX notification_webhook_deliveries_next_at ON notification_webhook_deliveries (webhook, next_at);
CREATE INDEX notification_webhook_deliveries_of ON notification_webhook_deliveries (webhook, created_at, message);
CREATE INDEX notification_webhook_deliveries_created_at ON notification_webhook_deliveries (created_at);
CREATE TABLE notification_webhook_attempts (
    webhook BINARY(16) NOT NULL,
    message BINARY(16) NOT NULL,
    attempt BIGINT NOT NULL,
    began_at BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    status BIGINT NULL,
    problem VARCHAR(200) NOT NULL,
    answer VARCHAR(1024) NOT NULL,
    PRIMARY KEY (webhook, message, attempt)
);
CREATE INDEX notification_webhook_attempts_began_at ON notification_webhook_attempts (began_at)

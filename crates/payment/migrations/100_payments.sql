CREATE TABLE payment_payments (
    payment_id BINARY(16) NOT NULL PRIMARY KEY,
    order_id BINARY(16) NOT NULL,
    buyer BINARY(16) NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency VARCHAR(3) NOT NULL,
    deadline BIGINT NOT NULL,
    subject VARCHAR(256) NOT NULL,
    status VARCHAR(16) NOT NULL,
    captured_minor BIGINT NOT NULL,
    refunded_minor BIGINT NOT NULL,
    opened_at BIGINT NOT NULL
);
CREATE TABLE payment_attempts (
    attempt_id BINARY(16) NOT NULL PRIMARY KEY,
    payment_id BINARY(16) NOT NULL,
    provider VARCHAR(16) NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency VARCHAR(3) NOT NULL,
    started_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    closed_at BIGINT
);
CREATE INDEX payment_attempts_payment ON payment_attempts (payment_id);
CREATE TABLE payment_refunds (
    refund_id BINARY(16) NOT NULL PRIMARY KEY,
    payment_id BINARY(16) NOT NULL,
    attempt_id BINARY(16) NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency VARCHAR(3) NOT NULL,
    status VARCHAR(16) NOT NULL,
    requested_at BIGINT NOT NULL,
    settled_at BIGINT
);
CREATE INDEX payment_refunds_payment ON payment_refunds (payment_id);
CREATE TABLE payment_postings (
    payment_id BINARY(16) NOT NULL,
    version BIGINT NOT NULL,
    account VARCHAR(32) NOT NULL,
    minor BIGINT NOT NULL,
    currency VARCHAR(3) NOT NULL,
    attempt_id BINARY(16) NOT NULL,
    refund_id BINARY(16),
    provider_trade_no VARCHAR(64),
    posted_at BIGINT NOT NULL,
    PRIMARY KEY (payment_id, version, account)
);
CREATE TABLE payment_notifications (
    provider VARCHAR(16) NOT NULL,
    trade_no VARCHAR(64) NOT NULL,
    status VARCHAR(64) NOT NULL,
    attempt_id BINARY(16) NOT NULL,
    notify_id VARCHAR(128) NOT NULL,
    received_at BIGINT NOT NULL,
    PRIMARY KEY (provider, trade_no, status)
);
CREATE TABLE payment_alerts (
    alert_id BINARY(16) NOT NULL PRIMARY KEY,
    digest BINARY(32) NOT NULL,
    kind VARCHAR(64) NOT NULL,
    payment_id BINARY(16),
    detail MEDIUMTEXT NOT NULL,
    raised_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX payment_alerts_digest ON payment_alerts (digest);

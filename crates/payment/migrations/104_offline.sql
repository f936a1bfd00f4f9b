CREATE TABLE payment_offline_trades (
    attempt_id BINARY(16) NOT NULL PRIMARY KEY,
    receipt_id BINARY(16),
    amount_minor BIGINT,
    currency VARCHAR(3),
    reference VARCHAR(200),
    reason VARCHAR(500),
    confirmed_by BINARY(16),
    recorded_at BIGINT NOT NULL
);
CREATE TABLE payment_offline_refunds (
    refund_id BINARY(16) NOT NULL PRIMARY KEY,
    attempt_id BINARY(16) NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency VARCHAR(3) NOT NULL,
    asked_at BIGINT NOT NULL,
    reference VARCHAR(200),
    reason VARCHAR(500),
    confirmed_by BINARY(16),
    confirmed_at BIGINT
);

DROP TABLE payment_postings;
CREATE TABLE payment_postings (
    payment_id BINARY(16) NOT NULL,
    version BIGINT NOT NULL,
    account VARCHAR(32) NOT NULL,
    minor BIGINT NOT NULL,
    currency VARCHAR(3) NOT NULL,
    kind VARCHAR(16) NOT NULL,
    attempt_id BINARY(16),
    refund_id BINARY(16),
    provider_trade_no VARCHAR(64),
    posted_at BIGINT NOT NULL,
    PRIMARY KEY (payment_id, version, account)
);
CREATE INDEX payment_postings_trade ON payment_postings (provider_trade_no);
CREATE INDEX payment_postings_account ON payment_postings (account, posted_at, payment_id, version);
CREATE INDEX payment_postings_posted ON payment_postings (posted_at, payment_id, version, account);
ALTER TABLE payment_payments ADD COLUMN freight_minor BIGINT NOT NULL DEFAULT 0;
ALTER TABLE payment_attempts ADD COLUMN captured_minor BIGINT;
ALTER TABLE payment_attempts ADD COLUMN captured_trade_no VARCHAR(64);
ALTER TABLE payment_attempts ADD COLUMN captured_at BIGINT;
CREATE INDEX payment_attempts_captured ON payment_attempts (captured_at, attempt_id);
CREATE INDEX payment_refunds_settled ON payment_refunds (settled_at, refund_id);
CREATE TABLE payment_shapes (
    projection VARCHAR(60) NOT NULL PRIMARY KEY,
    shape BIGINT NOT NULL
)

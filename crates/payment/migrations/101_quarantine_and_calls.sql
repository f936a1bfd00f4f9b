ALTER TABLE payment_alerts ADD COLUMN subject VARCHAR(64);
ALTER TABLE payment_alerts ADD COLUMN resolved_at BIGINT;
ALTER TABLE payment_alerts ADD COLUMN resolved_by BINARY(16);
ALTER TABLE payment_alerts ADD COLUMN resolution VARCHAR(500);
CREATE INDEX payment_alerts_subject ON payment_alerts (subject);
ALTER TABLE payment_notifications ADD COLUMN trace_id VARCHAR(32);
CREATE INDEX payment_notifications_attempt ON payment_notifications (attempt_id);
CREATE INDEX payment_payments_order ON payment_payments (order_id);
CREATE INDEX payment_payments_opened ON payment_payments (opened_at, payment_id);
CREATE INDEX payment_payments_status ON payment_payments (status, opened_at, payment_id);
CREATE INDEX payment_postings_trade ON payment_postings (provider_trade_no);
CREATE TABLE payment_quarantine (
    item_id BINARY(16) NOT NULL PRIMARY KEY,
    source VARCHAR(16) NOT NULL,
    kind VARCHAR(16) NOT NULL,
    payment_id BINARY(16),
    attempt_id BINARY(16),
    provider VARCHAR(16) NOT NULL,
    order_number VARCHAR(64),
    trade_no VARCHAR(64),
    trade_status VARCHAR(32),
    asked_minor BIGINT,
    asked_currency VARCHAR(3),
    found_minor BIGINT,
    found_currency VARCHAR(3),
    why MEDIUMTEXT NOT NULL,
    alert_id BINARY(16),
    recorded_at BIGINT NOT NULL,
    resolved_at BIGINT,
    resolved_by BINARY(16),
    resolution VARCHAR(500)
);
CREATE INDEX payment_quarantine_payment ON payment_quarantine (payment_id, attempt_id);
CREATE INDEX payment_quarantine_alert ON payment_quarantine (alert_id);
CREATE TABLE payment_calls (
    call_id BINARY(16) NOT NULL PRIMARY KEY,
    payment_id BINARY(16) NOT NULL,
    attempt_id BINARY(16) NOT NULL,
    refund_id BINARY(16),
    method VARCHAR(64) NOT NULL,
    outcome VARCHAR(16) NOT NULL,
    code VARCHAR(64),
    started_at BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    trace_id VARCHAR(32)
);
CREATE INDEX payment_calls_payment ON payment_calls (payment_id, call_id);
CREATE INDEX payment_calls_started ON payment_calls (started_at);

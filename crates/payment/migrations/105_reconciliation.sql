CREATE TABLE payment_reconciliations (
    reconciliation_id BINARY(16) NOT NULL PRIMARY KEY,
    provider VARCHAR(16) NOT NULL,
    bill_date VARCHAR(10) NOT NULL,
    status VARCHAR(16) NOT NULL,
    captures BIGINT NOT NULL,
    captured_minor BIGINT NOT NULL,
    refunds BIGINT NOT NULL,
    refunded_minor BIGINT NOT NULL,
    fee_minor BIGINT NOT NULL,
    currency VARCHAR(3) NOT NULL,
    cases_opened BIGINT NOT NULL,
    runs BIGINT NOT NULL,
    first_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX payment_reconciliations_day ON payment_reconciliations (provider, bill_date);
CREATE TABLE payment_bill_lines (
    provider VARCHAR(16) NOT NULL,
    kind VARCHAR(16) NOT NULL,
    order_number VARCHAR(64) NOT NULL,
    request_number VARCHAR(64) NOT NULL,
    bill_date VARCHAR(10) NOT NULL,
    attempt_id BINARY(16),
    refund_id BINARY(16),
    trade_no VARCHAR(64) NOT NULL,
    amount_minor BIGINT NOT NULL,
    fee_minor BIGINT NOT NULL,
    currency VARCHAR(3) NOT NULL,
    moved_at BIGINT NOT NULL,
    PRIMARY KEY (provider, kind, order_number, request_number)
);
CREATE INDEX payment_bill_lines_attempt ON payment_bill_lines (attempt_id);
CREATE INDEX payment_bill_lines_refund ON payment_bill_lines (refund_id);
CREATE TABLE payment_cases (
    case_id BINARY(16) NOT NULL PRIMARY KEY,
    provider VARCHAR(16) NOT NULL,
    bill_date VARCHAR(10) NOT NULL,
    kind VARCHAR(32) NOT NULL,
    order_number VARCHAR(64) NOT NULL,
    request_number VARCHAR(64) NOT NULL,
    trade_no VARCHAR(64),
    payment_id BINARY(16),
    ours_minor BIGINT,
    theirs_minor BIGINT,
    currency VARCHAR(3) NOT NULL,
    alert_id BINARY(16) NOT NULL,
    opened_at BIGINT NOT NULL,
    resolved_at BIGINT,
    resolved_by BINARY(16),
    resolution VARCHAR(500)
);
CREATE UNIQUE INDEX payment_cases_once ON payment_cases (provider, kind, order_number, request_number);
CREATE INDEX payment_cases_day ON payment_cases (provider, bill_date);
CREATE INDEX payment_cases_open ON payment_cases (resolved_at, case_id);
CREATE INDEX payment_cases_alert ON payment_cases (alert_id)

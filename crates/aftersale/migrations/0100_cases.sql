CREATE TABLE aftersale_cases (
    case_id BINARY(16) NOT NULL PRIMARY KEY,
    order_id BINARY(16) NOT NULL,
    account_id BINARY(16) NOT NULL,
    kind VARCHAR(16) NOT NULL,
    reason VARCHAR(32) NOT NULL,
    status VARCHAR(16) NOT NULL,
    escalated BIGINT NOT NULL,
    due_at BIGINT NULL,
    refund_minor BIGINT NULL,
    currency VARCHAR(3) NOT NULL,
    requested_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX aftersale_cases_status ON aftersale_cases (status, requested_at, case_id);
CREATE INDEX aftersale_cases_requested ON aftersale_cases (requested_at, case_id);
CREATE INDEX aftersale_cases_order ON aftersale_cases (order_id, requested_at);
CREATE INDEX aftersale_cases_account ON aftersale_cases (account_id);
CREATE TABLE aftersale_lines (
    case_id BINARY(16) NOT NULL,
    sku VARCHAR(64) NOT NULL,
    order_id BINARY(16) NOT NULL,
    bought BIGINT NOT NULL,
    paid_minor BIGINT NOT NULL,
    claimed BIGINT NOT NULL,
    restocked BIGINT NOT NULL,
    written_off BIGINT NOT NULL,
    refunded BIGINT NOT NULL,
    amount_minor BIGINT NOT NULL,
    PRIMARY KEY (case_id, sku)
);
CREATE INDEX aftersale_lines_order ON aftersale_lines (order_id, sku);
CREATE TABLE aftersale_refunds (
    refund_id BINARY(16) NOT NULL PRIMARY KEY,
    case_id BINARY(16) NOT NULL,
    order_id BINARY(16) NOT NULL,
    attempt_id BINARY(16) NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency VARCHAR(3) NOT NULL,
    paid BIGINT NOT NULL
);
CREATE INDEX aftersale_refunds_order ON aftersale_refunds (order_id);
CREATE TABLE aftersale_words (
    case_id BINARY(16) NOT NULL,
    topic VARCHAR(16) NOT NULL,
    account_id BINARY(16) NOT NULL,
    buyer_id BINARY(16) NOT NULL,
    words VARCHAR(1000) NOT NULL,
    written_at BIGINT NOT NULL,
    PRIMARY KEY (case_id, topic)
);
CREATE INDEX aftersale_words_account ON aftersale_words (account_id);
CREATE INDEX aftersale_words_buyer ON aftersale_words (buyer_id);
CREATE TABLE aftersale_erased (account_id BINARY(16) NOT NULL PRIMARY KEY);
CREATE TABLE aftersale_evidence (
    evidence_id BINARY(16) NOT NULL PRIMARY KEY,
    case_id BINARY(16) NOT NULL,
    account_id BINARY(16) NOT NULL,
    state VARCHAR(8) NOT NULL,
    width BIGINT NOT NULL,
    height BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    added_at BIGINT NOT NULL
);
CREATE INDEX aftersale_evidence_case ON aftersale_evidence (case_id, added_at);
CREATE INDEX aftersale_evidence_account ON aftersale_evidence (account_id);
CREATE INDEX aftersale_evidence_state ON aftersale_evidence (state, added_at)

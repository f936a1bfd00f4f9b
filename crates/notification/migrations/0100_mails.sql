CREATE TABLE notification_mails (
    mail BINARY(16) NOT NULL PRIMARY KEY,
    template VARCHAR(32) NOT NULL,
    cause BINARY(16) NOT NULL,
    fact VARCHAR(100) NOT NULL,
    message BINARY(16) NOT NULL,
    order_id BINARY(16) NULL,
    account BINARY(16) NOT NULL,
    parameters MEDIUMTEXT NOT NULL,
    trace VARCHAR(32) NOT NULL,
    state VARCHAR(8) NOT NULL,
    round BIGINT NOT NULL,
    tries BIGINT NOT NULL,
    copies BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    queued_at BIGINT NOT NULL,
    next_at BIGINT NULL,
    sent_at BIGINT NULL,
    reason VARCHAR(100) NOT NULL
);
CREATE UNIQUE INDEX notification_mails_cause ON notification_mails (template, cause);
CREATE INDEX notification_mails_next_at ON notification_mails (next_at);
CREATE INDEX notification_mails_created_at ON notification_mails (created_at, mail);
CREATE INDEX notification_mails_order ON notification_mails (order_id);
CREATE INDEX notification_mails_account ON notification_mails (account, created_at);
CREATE TABLE notification_mail_tries (
    mail BINARY(16) NOT NULL,
    round BIGINT NOT NULL,
    try BIGINT NOT NULL,
    began_at BIGINT NOT NULL,
    ended_at BIGINT NOT NULL,
    outcome VARCHAR(16) NOT NULL,
    reason VARCHAR(100) NOT NULL,
    PRIMARY KEY (mail, round, try)
)

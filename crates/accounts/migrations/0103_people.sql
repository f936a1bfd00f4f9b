ALTER TABLE accounts_accounts ADD COLUMN kind VARCHAR(16) NOT NULL DEFAULT 'member';
ALTER TABLE accounts_accounts ADD COLUMN status VARCHAR(16) NOT NULL DEFAULT 'active';
ALTER TABLE accounts_accounts ADD COLUMN contact_email VARCHAR(254) NOT NULL DEFAULT '';
ALTER TABLE accounts_accounts ADD COLUMN locale VARCHAR(8) NOT NULL DEFAULT 'zh-CN';
ALTER TABLE accounts_accounts ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE accounts_accounts ADD COLUMN roles_changed_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE accounts_accounts ADD COLUMN key_count BIGINT NOT NULL DEFAULT 0;
ALTER TABLE accounts_accounts ADD COLUMN sweep_at BIGINT;
ALTER TABLE accounts_addresses ADD COLUMN erased BIGINT NOT NULL DEFAULT 0;
UPDATE accounts_accounts SET kind = 'staff' WHERE roles <> 'customer';
CREATE INDEX accounts_accounts_kind ON accounts_accounts (kind, id);
CREATE INDEX accounts_accounts_roles_changed_at ON accounts_accounts (roles_changed_at);
CREATE INDEX accounts_accounts_contact_email ON accounts_accounts (contact_email, id);
CREATE INDEX accounts_accounts_sweep_at ON accounts_accounts (sweep_at)

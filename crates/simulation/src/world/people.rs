//! Who comes into the shop: accounts, buyers, guests, staff.

use merx_kernel::{Role, principal::AccountId};
use merx_notification::transport::Letter;
use merx_sql::params;
use merx_testkit::TestApi;
use serde_json::json;

use super::{Buyer, Told as _, World};

/// What a member types to log in.
pub const PASSWORD: &str = "correct horse battery";
/// Argon2id of [`PASSWORD`], with as little work as there is: a virtual clock does not wait for real work.
const PASSWORD_HASH: &str =
    "$argon2id$v=19$m=8,t=1,p=1$bWVyeC10ZXN0LXNhbHQhIQ$9bQxobDGWC7PVQKTN3wIaXxPETaqWs6qRY6+VX7gUKg";

const INSERT: &str = "INSERT INTO accounts_accounts (id, email, name, password_hash, roles, kind, address_count, created_at) \
                      VALUES (?, ?, ?, ?, ?, ?, ?, ?)";

/// The log-in name of an account these tests made.
pub fn email(account: AccountId) -> String {
    format!("{}@shop.test", account.bare())
}

impl World {
    /// An account of this role, logged in. Its password is never asked for: the token is of our own making.
    pub async fn account(&self, role: Role) -> (AccountId, TestApi) {
        let accounts = self.accounts(role, 1).await;
        accounts.into_iter().next().unwrap()
    }
    /// Many accounts of one role, in one transaction.
    pub async fn accounts(&self, role: Role, count: usize) -> Vec<(AccountId, TestApi)> {
        let (deps, now) = (&self.shop.deps, self.shop.deps.now());
        let ids: Vec<AccountId> = (0..count).map(|_| deps.ids.next()).collect();
        let made = ids.clone();
        let kind = if role == Role::Customer { "member" } else { "staff" };
        let write = move |tx: &mut merx_sql::Tx<'_>| {
            for id in &made {
                let values = params![*id, email(*id), "Somebody", PASSWORD_HASH, role.name(), kind, 0, now];
                let _ = tx.execute(INSERT, values)?;
            }
            Ok(())
        };
        deps.db.write("test.accounts", write).await.told();
        ids.into_iter().map(|id| (id, self.api.as_account(id, role))).collect()
    }
    /// Somebody who buys, with an address in Hangzhou.
    pub async fn buyer(&self) -> Buyer {
        let (account, api) = self.account(Role::Customer).await;
        Buyer::new(account, api).await
    }
    /// Somebody who buys without registering, and is written to at `mailbox`; with the access token of the visit.
    pub async fn guest(&self, mailbox: &str, locale: &str) -> (Buyer, String) {
        let begun = self.api.post("/v1/guests", json!({"locale": locale})).await.expect(201);
        let account: AccountId = begun.text_at("/account_id").parse().unwrap();
        let api = self.api.as_account(account, Role::Guest);
        let contact = json!({"email": mailbox, "name": "Ann", "locale": locale});
        api.put("/v1/guests/me", contact).await.expect(200);
        (Buyer::new(account, api).await, begun.text_at("/access_token"))
    }
    /// Somebody of the staff.
    pub async fn staff(&self, role: Role) -> TestApi {
        self.account(role).await.1
    }
    /// Every mail, in order.
    pub fn every_mail(&self) -> Vec<Letter> {
        [self.mails_before.clone(), self.mails.letters()].concat()
    }
    /// The mails that went to an address, in order.
    pub fn letters(&self, mailbox: &str) -> Vec<Letter> {
        self.every_mail().into_iter().filter(|letter| letter.to == mailbox).collect()
    }
    /// The templates of the mails that went to an address, in order.
    pub fn mailed(&self, mailbox: &str) -> Vec<String> {
        self.letters(mailbox).into_iter().map(|letter| letter.template).collect()
    }
}

//! The handle: what the double is made of, and what a test or a simulation can do with it directly.

use std::sync::Arc;

use axum::Router;
use merx_alipay::{
    ContentKey, Params, PrivateKey, PublicKey,
    gateway::{CertificateMode, Sealed},
};
use merx_kernel::{Clock, Entropy, Error, Id, IdGen, IdKind, Result, Timestamp};
use merx_platform::tasks::Tasks;
use merx_sql::Db;
use tokio::sync::Mutex;

use crate::{
    bill, bills,
    cashier::{self, PageRefused},
    control,
    faults::{Armed, Faults},
    gateway, home,
    ledger::{self, Entry},
    notices::{self, About, House},
    outbound::{Outbound, Reply},
    pages,
    store::{self, Notice},
    trades::{Moment, Paid},
};

/// Who talks to this Alipay.
#[derive(Clone, Debug)]
pub struct Config {
    /// The one application it knows.
    pub app_id: String,
    /// The account that is paid.
    pub seller_id: String,
    /// The application's public key: its requests are verified with it.
    pub merchant_key: PublicKey,
    /// Alipay's private key: answers and notifications are signed with it.
    pub alipay_key: PrivateKey,
    /// Where browsers reach it, such as `http://127.0.0.1:8081`.
    pub public_url: String,
    /// In certificate mode: the certificates of the two keys. Requests must name them, answers do.
    pub certificates: Option<CertificateMode>,
    /// The key of encrypted contents, where the application has set one up.
    pub content_key: Option<ContentKey>,
}

impl Config {
    /// An application known by bare public keys, with contents in the clear.
    pub fn new(
        app_id: impl Into<String>,
        seller_id: impl Into<String>,
        merchant_key: PublicKey,
        alipay_key: PrivateKey,
        public_url: impl Into<String>,
    ) -> Self {
        Self {
            app_id: app_id.into(),
            seller_id: seller_id.into(),
            merchant_key,
            alipay_key,
            public_url: public_url.into(),
            certificates: None,
            content_key: None,
        }
    }
}

/// A running double. Clones are the same one.
#[derive(Clone)]
pub struct Sandbox(Arc<Inner>);

struct Inner {
    config: Config,
    house: House,
    db: Db,
    clock: Arc<dyn Clock>,
    ids: IdGen,
    outbound: Arc<dyn Outbound>,
    faults: Faults,
    /// The last change of the switches that is in the database. Held while they are written, so that an older state
    /// never follows a newer one.
    remembered: Mutex<u64>,
}

enum NumberKind {}
impl IdKind for NumberKind {
    const PREFIX: &'static str = "alp";
}

/// The switches a process before this one left armed. One that is not known any more is left out.
async fn remembered(db: &Db) -> Result<Vec<Armed>> {
    let switches = db.read("sandbox.faults", |q| store::faults(q)).await?;
    Ok(switches.iter().filter_map(|switch| serde_json::from_str(switch).ok()).collect())
}

impl Sandbox {
    /// Brings the tables up to date, starts the loop that sends notifications, and answers the routes to serve.
    ///
    /// # Errors
    /// What the database answered.
    pub async fn start(
        config: Config,
        db: Db,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        tasks: &Tasks,
        outbound: Arc<dyn Outbound>,
    ) -> Result<(Router, Self)> {
        db.migrate("sandbox", &store::migrations()).await?;
        let house =
            House { app_id: config.app_id.as_str().into(), seller_id: config.seller_id.as_str().into() };
        let ids = IdGen::new(clock.clone(), entropy);
        let faults = Faults::default();
        faults.restore(remembered(&db).await?);
        let nothing_new = Mutex::new(0);
        let inner = Inner { config, house, db, clock, ids, outbound, faults, remembered: nothing_new };
        let sandbox = Self(Arc::new(inner));
        let working = sandbox.clone();
        drop(tasks.spawn_loop("alipay-sandbox", move |stop| working.clone().work(stop.cancelled_owned())));
        let router =
            gateway::routes().merge(cashier::routes()).merge(control::routes()).merge(pages::routes());
        let router = router.merge(bills::routes()).merge(bill::control());
        let at_home = axum::middleware::from_fn_with_state(sandbox.clone(), home::only);
        let router = router.layer(at_home).layer(axum::extract::DefaultBodyLimit::max(Params::BYTES_MAX));
        let router = router.with_state(sandbox.clone());
        Ok((router, sandbox))
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }
    pub(crate) fn db(&self) -> &Db {
        &self.0.db
    }
    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }
    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }
    pub(crate) fn key(&self) -> &PrivateKey {
        &self.0.config.alipay_key
    }
    /// How an answer leaves; encrypted where the request was.
    pub(crate) fn sealed(&self, encrypted: bool) -> Sealed<'_> {
        let config = self.config();
        Sealed {
            key: &config.alipay_key,
            cert_sn: config.certificates.as_ref().map(|mode| mode.alipay_sn.as_str()),
            content_key: config.content_key.as_ref().filter(|_| encrypted),
        }
    }
    pub(crate) fn outbound(&self) -> &dyn Outbound {
        &*self.0.outbound
    }
    pub(crate) fn faults(&self) -> &Faults {
        &self.0.faults
    }

    /// Time and fresh numbers for one transaction.
    pub(crate) fn moment(&self) -> Moment {
        let now = self.now();
        let bits = || self.0.ids.next::<NumberKind>();
        let number = |id: Id<NumberKind>, digits| notices::number(now, id.bits(), digits);
        Moment {
            now,
            trade_no: number(bits(), 20),
            notify_id: number(bits(), 26),
            house: self.0.house.clone(),
        }
    }

    /// Arms a switch.
    ///
    /// # Errors
    /// `sandbox.request_invalid` when too many are armed.
    pub fn arm(&self, armed: Armed) -> Result<()> {
        self.0.faults.arm(armed).map_err(control::refused)
    }
    /// The armed switches.
    pub fn armed(&self) -> Vec<Armed> {
        self.0.faults.list()
    }
    /// Takes all switches back.
    pub fn disarm(&self) {
        self.0.faults.clear();
    }

    /// Writes the switches down as they are now, so that the next process finds them.
    ///
    /// # Errors
    /// What the database answered.
    pub async fn remember(&self) -> Result<()> {
        let mut remembered = self.0.remembered.lock().await;
        let (revision, armed) = self.faults().as_of();
        if revision == *remembered {
            return Ok(());
        }
        let written = armed.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>();
        let switches = written.map_err(|e| Error::internal("cannot write a switch").with_source(e))?;
        self.db().write("sandbox.remember", move |tx| store::keep_faults(tx, &switches)).await?;
        *remembered = revision;
        Ok(())
    }

    /// The buyer's browser opens a payment URL made by the merchant, or Alipay's app is given the text of an order.
    /// Answers the code of the cashier page.
    ///
    /// # Errors
    /// What the page would say.
    pub async fn open(&self, pay_url: &str) -> Result<String, PageRefused> {
        let query = pay_url.split_once('?').map_or(pay_url, |(_, query)| query);
        Ok(cashier::open(self, query, b"").await?.code)
    }
    /// The buyer logs in: the trade begins, unpaid.
    ///
    /// # Errors
    /// What the page would say.
    pub async fn log_in(&self, code: &str) -> Result<(), PageRefused> {
        cashier::log_in(self, code).await.map(drop)
    }
    /// The buyer confirms the payment.
    ///
    /// # Errors
    /// What the page would say.
    pub async fn pay(&self, code: &str) -> Result<Paid, PageRefused> {
        cashier::pay(self, code).await
    }

    /// The provider's own account of money.
    ///
    /// # Errors
    /// What the database answered.
    pub async fn ledger(&self) -> Result<Vec<Entry>> {
        ledger::ledger(&self.0.db).await
    }

    /// A validly signed notification about a trade, with any fields replaced, as form and address. It is not sent.
    ///
    /// # Errors
    /// `sandbox.no_such_trade`; `sandbox.request_invalid` for a trade without a notification address.
    pub async fn forge(&self, out_trade_no: &str, replace: &[(String, String)]) -> Result<(String, String)> {
        let number = out_trade_no.to_owned();
        let trade =
            self.db().read("sandbox.trade", move |q| store::find_trade(q, Some(&number), None)).await?;
        let trade = trade.ok_or_else(|| {
            Error::not_found("sandbox.no_such_trade", format!("No buyer has begun a trade `{out_trade_no}`."))
        })?;
        let url = trade.notify_url.clone().ok_or_else(|| {
            control::refused(format!("The trade `{out_trade_no}` was made without a notify_url."))
        })?;
        let moment = self.moment();
        let fields = notices::fields(&trade, &moment, About::Trade);
        let fields = replace.iter().fold(fields, |f, (name, value)| f.with(name.as_str(), value.as_str()));
        let notice = Notice {
            notify_id: moment.notify_id,
            url: url.clone(),
            fields: fields.to_form(),
            tries: 0,
            shaped: true,
            next_at: moment.now,
        };
        Ok((url, self.sign_notice(&notice)?))
    }

    /// Sends a [`Self::forge`]d notification once and answers what the merchant said.
    ///
    /// # Errors
    /// As [`Self::forge`]; `sandbox.undelivered` when the merchant did not answer.
    pub async fn send_forged(&self, out_trade_no: &str, replace: &[(String, String)]) -> Result<Reply> {
        let (url, form) = self.forge(out_trade_no, replace).await?;
        self.deliver(&url, &form).await.map_err(|why| {
            Error::unavailable("sandbox.undelivered", format!("The merchant at {url} did not answer: {why}"))
        })
    }
}

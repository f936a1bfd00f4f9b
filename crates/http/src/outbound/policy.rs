//! What a URL given by a person must be before anything is looked up or connected to.

use std::net::IpAddr;

use merx_kernel::Guard;
use reqwest::Url;

use super::address::not_public;

/// The longest URL.
pub const URL_BYTES_MAX: usize = 2_000;
/// HTTPS's own port; besides it only ports that no well-known service of another protocol has.
const PORT_HTTPS: u16 = 443;
const PORT_FREE_MIN: u16 = 1_024;

/// Where URLs given by people may lead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// The public internet, by HTTPS.
    #[default]
    Public,
    /// Also this machine's loopback, by HTTP too: for tests and for trying things out.
    PublicAndLoopback,
}

/// How one URL is to be reached, once it was found in order.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub url: Url,
    /// Plain HTTP: loopback only.
    pub plain: bool,
}

impl Reach {
    /// Whether a connection to `address` is allowed; the sentence says why not.
    pub(super) fn allows(self, address: IpAddr, plain: bool) -> Result<(), String> {
        if !Guard::OutboundAddress.on() {
            return Ok(());
        }
        if self == Self::PublicAndLoopback && address.is_loopback() {
            return Ok(());
        }
        match not_public(address) {
            Some(what) => Err(format!("leads to an address that is {what}")),
            None if plain => Err("must be https outside this machine".to_owned()),
            None => Ok(()),
        }
    }

    /// Checks all of a URL that can be checked without looking a name up: what a form that takes a URL calls.
    ///
    /// # Errors
    /// A sentence naming the rule, without the URL.
    pub fn check(self, text: &str) -> Result<(), String> {
        self.target(text).map(drop)
    }

    pub(super) fn target(self, text: &str) -> Result<Target, String> {
        if text.len() > URL_BYTES_MAX {
            return Err(format!("must have at most {URL_BYTES_MAX} bytes"));
        }
        // The URL standard drops these silently, so that two readers see two different URLs.
        if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
            return Err("must not contain spaces, control characters or backslashes".to_owned());
        }
        let url = Url::parse(text).map_err(|e| format!("is not a URL: {e}"))?;
        let plain = match (url.scheme(), self) {
            ("https", _) => false,
            ("http", Self::PublicAndLoopback) => true,
            _ => return Err("must begin with https://".to_owned()),
        };
        if !url.username().is_empty() || url.password().is_some() || text.contains('@') && has_userinfo(text)
        {
            return Err("must not contain a user name or password".to_owned());
        }
        if url.fragment().is_some() {
            return Err("must not have a fragment".to_owned());
        }
        let host = url.host_str().ok_or("must name a host")?;
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        if let Some(address) = literal {
            self.allows(address, plain)?;
        } else if host.is_empty() || host.ends_with('.') || host.contains("..") {
            return Err("must name a host without a point at its end".to_owned());
        }
        let near = self == Self::PublicAndLoopback
            && literal.map_or(host == "localhost", |address| address.is_loopback());
        let port = url.port_or_known_default().unwrap_or(PORT_HTTPS);
        if !near && port != PORT_HTTPS && port < PORT_FREE_MIN {
            return Err(format!("must use port {PORT_HTTPS} or one from {PORT_FREE_MIN}"));
        }
        Ok(Target { url, plain })
    }
}

/// Whether the part before the path has an `@`: an empty user name is one too.
fn has_userinfo(text: &str) -> bool {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    authority.contains('@')
}

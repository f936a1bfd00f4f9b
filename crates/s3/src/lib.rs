//! Objects in a bucket of S3, or of any server that speaks S3: path-style requests, signed by Signature Version 4.

mod sign;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::{Method, StatusCode};
use merx_kernel::{Clock, Entropy, Error, Result, Secret};
use merx_platform::{
    objects::{
        LIST_MAX, OBJECT_BYTES_MAX, ObjectKey, ObjectStore, ObjectsConfig, ObjectsPlace, check_size,
        unavailable,
    },
    time::Backoff,
};
use tokio::sync::Semaphore;

pub use sign::{Credentials, Signed, SignedRequest, sign};

/// Requests under way at a time; more wait.
const CALLS_MAX: usize = 16;
/// How often a request is tried. All of them are idempotent.
const TRIES_MAX: u32 = 4;
/// What lies between the tries.
const BACKOFF: Backoff = Backoff { min: Duration::from_millis(100), max: Duration::from_secs(2) };
/// How long the server may take to take our call, …
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// … and to answer it whole.
const ANSWER_MAX: Duration = Duration::from_secs(20);
/// The most bytes of a list or a refusal: 1,000 keys of 200 bytes with S3's words around them.
const TEXT_BYTES_MAX: usize = 2 * 1024 * 1024;

/// A bucket. Clones share its connections.
#[derive(Clone)]
pub struct S3Store {
    client: reqwest::Client,
    free: Arc<Semaphore>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    endpoint: String,
    host: String,
    bucket: String,
    prefix: Option<ObjectKey>,
    credentials: Arc<Credentials>,
}

impl fmt::Debug for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Store").field("endpoint", &self.endpoint).field("bucket", &self.bucket).finish()
    }
}

/// What the server answered.
struct Answer {
    status: StatusCode,
    body: Bytes,
}

/// What is asked of the server.
struct Ask<'a> {
    method: Method,
    /// The object; the bucket itself without one.
    key: Option<&'a ObjectKey>,
    /// Sorted by name.
    query: &'a [(&'a str, &'a str)],
    body: Bytes,
    content_type: Option<&'a str>,
    bytes_max: usize,
}

impl S3Store {
    /// The bucket that the configuration names. Asks nothing of the server yet.
    ///
    /// # Errors
    /// `config.invalid` naming the key; `Internal` when TLS cannot be set up.
    pub fn open(config: &ObjectsConfig, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Result<Self> {
        config.check()?;
        let place = config.place(std::path::Path::new(""))?;
        let (ObjectsPlace::S3 { endpoint, bucket, prefix }, Some(id), Some(secret)) =
            (place, &config.access_key_id, &config.secret_access_key)
        else {
            return Err(Error::internal("the configuration chooses no S3 bucket"));
        };
        let credentials = Credentials {
            access_key_id: id.expose().trim().to_owned(),
            secret_access_key: Secret::new(secret.expose().trim().to_owned()),
            region: config.region.clone(),
        };
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_MAX)
            .timeout(ANSWER_MAX)
            // A redirect would be signed for another host.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| Error::internal("the client for S3 cannot be built").with_source(e))?;
        Ok(Self {
            client,
            free: Arc::new(Semaphore::new(CALLS_MAX)),
            clock,
            entropy,
            host: host_of(&endpoint).to_owned(),
            endpoint,
            bucket,
            prefix,
            credentials: Arc::new(credentials),
        })
    }

    fn name(&self, key: &ObjectKey) -> String {
        self.prefix.as_ref().map_or_else(|| key.to_string(), |prefix| format!("{prefix}/{key}"))
    }

    /// Asks until there is an answer that trying again would not change.
    async fn ask(&self, ask: Ask<'_>) -> Result<Answer> {
        let _place = self.free.acquire().await.map_err(unavailable)?;
        let mut tries = 1;
        loop {
            let outcome = self.once(&ask).await;
            let retry = match &outcome {
                Ok(answer) => {
                    answer.status.is_server_error() || answer.status == StatusCode::TOO_MANY_REQUESTS
                }
                Err(error) => error.kind().is_retryable() && !error.is("internal"),
            };
            if !retry || tries >= TRIES_MAX {
                return outcome;
            }
            tracing::debug!(tries, "S3 did not serve a request, it is tried again");
            self.clock.sleep(BACKOFF.wait(tries, &*self.entropy)).await;
            tries += 1;
        }
    }

    async fn once(&self, ask: &Ask<'_>) -> Result<Answer> {
        // Keys and bucket names are of characters that need no escaping.
        let path = match ask.key {
            Some(key) => format!("/{}/{}", self.bucket, self.name(key)),
            None => format!("/{}", self.bucket),
        };
        let signed = sign(
            &self.credentials,
            &SignedRequest {
                method: ask.method.as_str(),
                path: &path,
                query: ask.query,
                headers: &[("host", &self.host)],
                body: &ask.body,
                at: self.clock.now(),
            },
        )?;
        let query = if signed.query.is_empty() { String::new() } else { format!("?{}", signed.query) };
        let mut request = self.client.request(ask.method.clone(), format!("{}{path}{query}", self.endpoint));
        for (name, value) in &signed.headers {
            request = request.header(*name, value);
        }
        if let Some(content_type) = ask.content_type {
            request = request.header(http::header::CONTENT_TYPE, content_type);
        }
        let mut response = request.body(ask.body.clone()).send().await.map_err(unavailable)?;
        let status = response.status();
        let max = if status.is_success() { ask.bytes_max } else { TEXT_BYTES_MAX };
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(unavailable)? {
            body.extend_from_slice(&chunk);
            if body.len() > max {
                return Err(Error::internal(format!("S3 answered more than {max} bytes")));
            }
        }
        Ok(Answer { status, body: body.freeze() })
    }
}

impl Answer {
    /// S3's own word for a refusal, `NoSuchKey`.
    fn code(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let code = roxmltree::Document::parse(&text).ok().and_then(|document| {
            let code = document.descendants().find(|node| node.has_tag_name("Code"))?;
            code.text().map(str::to_owned)
        });
        code.unwrap_or_default()
    }

    fn refused(&self) -> Error {
        unavailable(format!("S3 answered {} {}", self.status.as_u16(), self.code()))
    }
}

#[async_trait]
impl ObjectStore for S3Store {
    async fn put(&self, key: &ObjectKey, bytes: Bytes, content_type: &str) -> Result<()> {
        check_size(&bytes)?;
        let ask = Ask {
            method: Method::PUT,
            key: Some(key),
            query: &[],
            body: bytes,
            content_type: Some(content_type),
            bytes_max: TEXT_BYTES_MAX,
        };
        let answer = self.ask(ask).await?;
        if answer.status.is_success() { Ok(()) } else { Err(answer.refused()) }
    }

    async fn get(&self, key: &ObjectKey) -> Result<Option<Bytes>> {
        let ask = Ask { key: Some(key), bytes_max: OBJECT_BYTES_MAX, ..Ask::of(Method::GET) };
        let answer = self.ask(ask).await?;
        match answer.status {
            StatusCode::OK => Ok(Some(answer.body)),
            // A missing bucket is no missing object.
            StatusCode::NOT_FOUND if answer.code() == "NoSuchKey" => Ok(None),
            _ => Err(answer.refused()),
        }
    }

    async fn delete(&self, key: &ObjectKey) -> Result<()> {
        let answer = self.ask(Ask { key: Some(key), ..Ask::of(Method::DELETE) }).await?;
        let gone = answer.status.is_success()
            || (answer.status == StatusCode::NOT_FOUND && answer.code() == "NoSuchKey");
        if gone { Ok(()) } else { Err(answer.refused()) }
    }

    async fn list(
        &self,
        prefix: &ObjectKey,
        after: Option<&ObjectKey>,
        limit: usize,
    ) -> Result<Vec<ObjectKey>> {
        let limit = limit.min(LIST_MAX);
        if limit == 0 {
            return Ok(Vec::new());
        }
        let (max, folder) = (limit.to_string(), format!("{}/", self.name(prefix)));
        let after = after.map(|key| self.name(key));
        let mut query = vec![("list-type", "2"), ("max-keys", &max), ("prefix", &folder)];
        if let Some(after) = &after {
            query.push(("start-after", after));
        }
        let answer = self.ask(Ask { query: &query, ..Ask::of(Method::GET) }).await?;
        if answer.status != StatusCode::OK {
            return Err(answer.refused());
        }
        self.keys_of(&answer.body)
    }
}

impl S3Store {
    /// The keys of a list that are ours.
    fn keys_of(&self, body: &[u8]) -> Result<Vec<ObjectKey>> {
        let unreadable = |e: &dyn fmt::Display| unavailable(format!("a list of S3 cannot be read: {e}"));
        let text = std::str::from_utf8(body).map_err(|e| unreadable(&e))?;
        let document = roxmltree::Document::parse(text).map_err(|e| unreadable(&e))?;
        let entries = document.root_element().children().filter(|node| node.tag_name().name() == "Contents");
        let names = entries.filter_map(|entry| {
            entry.children().find(|node| node.tag_name().name() == "Key").and_then(|node| node.text())
        });
        let own = names.filter_map(|name| match &self.prefix {
            Some(prefix) => name.strip_prefix(prefix.as_str())?.strip_prefix('/'),
            None => Some(name),
        });
        Ok(own.filter_map(|name| ObjectKey::new(name).ok()).collect())
    }
}

impl Ask<'_> {
    fn of(method: Method) -> Self {
        Self {
            method,
            key: None,
            query: &[],
            body: Bytes::new(),
            content_type: None,
            bytes_max: TEXT_BYTES_MAX,
        }
    }
}

/// The host with its port, as the `Host` header has it: without the port that the scheme implies.
fn host_of(endpoint: &str) -> &str {
    let (scheme, host) = endpoint.split_once("://").unwrap_or(("", endpoint));
    let implied = if scheme == "https" { ":443" } else { ":80" };
    host.strip_suffix(implied).unwrap_or(host)
}

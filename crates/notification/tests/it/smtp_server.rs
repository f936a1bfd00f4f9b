//! A small mail server that speaks SMTP over TCP, well or badly, as it is told.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

/// What the server does with the next mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Takes it.
    Accept,
    /// Answers the recipient with this.
    Recipient(&'static str),
    /// Answers the end of the data with this.
    Data(&'static str),
    /// Answers the end of the data with this when the client has given up.
    LateData(&'static str),
    /// Answers the connection with this.
    Greeting(&'static str),
    /// Answers the log-in with this.
    Login(&'static str),
    /// Takes it and closes the connection without an answer.
    CutAfterData,
    /// Closes the connection at the first command.
    Cut,
    /// Never answers the connection.
    Hang,
}

/// A mail the server took.
#[derive(Clone, Debug)]
pub struct Taken {
    pub from: String,
    pub to: String,
    pub data: String,
}

impl Taken {
    /// The value of a header, unfolded.
    pub fn header(&self, name: &str) -> String {
        let head = self.data.split("\r\n\r\n").next().unwrap_or_default().replace("\r\n ", " ");
        let prefix = format!("{}: ", name.to_lowercase());
        let line = head.lines().find(|l| l.to_lowercase().starts_with(&prefix));
        line.and_then(|l| l.split_once(": ")).map(|(_, value)| value.to_owned()).unwrap_or_default()
    }
}

#[derive(Clone)]
pub struct Server {
    pub port: u16,
    manners: Arc<Mutex<VecDeque<Manner>>>,
    taken: Arc<Mutex<Vec<Taken>>>,
    late: Arc<Notify>,
    given_up: Arc<Notify>,
}

impl Server {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            manners: Arc::default(),
            taken: Arc::default(),
            late: Arc::default(),
            given_up: Arc::default(),
        };
        let own = server.clone();
        #[allow(clippy::disallowed_methods, reason = "a test's own server")]
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = own.clone();
                #[allow(clippy::disallowed_methods, reason = "a test's own server")]
                tokio::spawn(async move {
                    // A client may leave when it likes.
                    let _ = server.talk(stream).await;
                });
            }
        });
        server
    }

    pub fn tell(&self, manners: impl IntoIterator<Item = Manner>) {
        self.manners.lock().unwrap_or_else(PoisonError::into_inner).extend(manners);
    }
    pub fn taken(&self) -> Vec<Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
    /// Completes when an answer is late.
    pub async fn late(&self) {
        self.late.notified().await;
    }
    /// Lets the late answer come.
    pub fn given_up(&self) {
        self.given_up.notify_one();
    }
    /// What is to be done with the next mail; `only` those that concern this step are used up.
    fn manner(&self, concerns: impl Fn(Manner) -> bool) -> Option<Manner> {
        let mut manners = self.manners.lock().unwrap_or_else(PoisonError::into_inner);
        let next = manners.front().copied().filter(|m| concerns(*m))?;
        manners.pop_front();
        Some(next)
    }

    async fn talk(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        match self.manner(|m| matches!(m, Manner::Greeting(_) | Manner::Cut | Manner::Hang)) {
            Some(Manner::Greeting(answer)) => {
                stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
                return Ok(());
            }
            Some(Manner::Cut) => return Ok(()),
            Some(_) => return std::future::pending().await,
            None => stream.write_all(b"220 mx.test ESMTP\r\n").await?,
        }
        let (mut from, mut to) = (String::new(), String::new());
        let mut line = String::new();
        loop {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let command = line.trim_end().to_owned();
            let upper = command.to_uppercase();
            let answer = if upper.starts_with("EHLO") {
                "250-mx.test\r\n250-8BITMIME\r\n250-AUTH PLAIN\r\n250 SMTPUTF8".to_owned()
            } else if upper.starts_with("AUTH") {
                match self.manner(|m| matches!(m, Manner::Login(_))) {
                    Some(Manner::Login(answer)) => answer.to_owned(),
                    _ => "235 2.7.0 fine".to_owned(),
                }
            } else if upper.starts_with("MAIL FROM:") {
                command[10..].clone_into(&mut from);
                "250 2.1.0 fine".to_owned()
            } else if upper.starts_with("RCPT TO:") {
                command[8..].clone_into(&mut to);
                match self.manner(|m| matches!(m, Manner::Recipient(_))) {
                    Some(Manner::Recipient(answer)) => answer.to_owned(),
                    _ => "250 2.1.5 fine".to_owned(),
                }
            } else if upper == "DATA" {
                stream.write_all(b"354 go on\r\n").await?;
                let data = read_data(&mut stream).await?;
                let manner = self.manner(|m| {
                    matches!(m, Manner::Accept | Manner::Data(_) | Manner::LateData(_) | Manner::CutAfterData)
                });
                if let Some(Manner::LateData(answer)) = manner {
                    self.late.notify_one();
                    self.given_up.notified().await;
                    answer.to_owned()
                } else if let Some(Manner::Data(answer)) = manner {
                    answer.to_owned()
                } else {
                    let taken = Taken { from: from.clone(), to: to.clone(), data };
                    self.taken.lock().unwrap_or_else(PoisonError::into_inner).push(taken);
                    if manner == Some(Manner::CutAfterData) {
                        return Ok(());
                    }
                    "250 2.0.0 taken".to_owned()
                }
            } else if upper == "QUIT" {
                "221 2.0.0 bye".to_owned()
            } else {
                "250 2.0.0 fine".to_owned()
            };
            stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
            if upper == "QUIT" {
                return Ok(());
            }
        }
    }
}

async fn read_data(stream: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut data = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 || line == ".\r\n" {
            return Ok(data);
        }
        // RFC 5321 §4.5.2: a leading point was doubled.
        data.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}

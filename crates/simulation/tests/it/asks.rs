//! Every ask of every service, once in this process and once over the wire: who asks cannot tell the difference. Beside
//! the asks, health and reflection, all behind the token of the shop.

mod rows;

use std::{collections::BTreeSet, time::Duration};

use axum::http::uri::PathAndQuery;
use futures_util::stream;
use merx_contracts::accounts::v1::{ContactRequest, accounts_client::AccountsClient};
use merx_kernel::{ErrorKind, Secret};
use merx_platform::rpc::{Peer, Token, ask};
use merx_server::{grpc, shop::Topology};
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tonic::{
    Code, Request, Status,
    metadata::AsciiMetadataValue,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use merx_simulation::world::{Ground, Told as _, World};

const TOKEN: &str = "0123456789abcdefghjkmnpqrstvwxyz";

fn token(text: &str) -> Token {
    Token::new(&Secret::new(text.to_owned())).told()
}

/// A shop with an internal port.
struct Port {
    world: World,
    channel: Channel,
    stop: oneshot::Sender<()>,
    served: JoinHandle<merx_kernel::Result<()>>,
    _dir: tempfile::TempDir,
}

impl Port {
    async fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let world = World::on(Ground::on_disk(dir.path()), Topology::Local, |_| {}).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let until = async move { drop(stopped.await) };
        #[allow(clippy::disallowed_methods, reason = "it ends with the test, which awaits it")]
        let served = tokio::spawn(grpc::serve(listener, world.shop.services.clone(), token(TOKEN), until));
        let channel = Endpoint::from_shared(url).unwrap().connect_lazy();
        Self { world, channel, stop, served, _dir: dir }
    }

    async fn close(self) {
        let Self { world, channel, stop, served, .. } = self;
        drop(channel);
        stop.send(()).unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(30), served).await;
        ended.expect("the port closes").unwrap().told();
        world.abandon().await;
    }
}

fn with_token(mut request: Request<()>) -> Result<Request<()>, Status> {
    let value = AsciiMetadataValue::try_from(format!("Bearer {TOKEN}")).unwrap();
    request.metadata_mut().insert("authorization", value);
    Ok(request)
}

/// `merx.inventory.v1.Inventory/Reserve` and all the others, from the descriptors themselves.
pub fn every_method() -> BTreeSet<String> {
    let files = FileDescriptorSet::decode(merx_contracts::DESCRIPTORS).unwrap().file;
    let methods = files.iter().flat_map(|file| {
        file.service.iter().flat_map(move |service| {
            let of = move |method: &str| format!("{}.{}/{method}", file.package(), service.name());
            service.method.iter().map(move |method| of(method.name()))
        })
    });
    methods.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_ask_has_the_same_outcome_here_and_over_the_wire() {
    let (here, there) = (Port::open().await, Port::open().await);
    let services = here.world.shop.services.clone();
    let local = move |context: &str| Peer::local(services[context].clone());
    let channel = there.channel.clone();
    let remote = move |_: &str| Peer::remote(channel.clone(), token(TOKEN));
    let in_process = rows::outcomes(&here.world, &local).await;
    let over_the_wire = rows::outcomes(&there.world, &remote).await;

    let asked: BTreeSet<String> = in_process.iter().map(|row| row.method.to_owned()).collect();
    assert_eq!(asked, every_method(), "every ask has its row");
    for (a, b) in in_process.iter().zip(&over_the_wire) {
        assert_eq!(a, b, "{}", a.method);
        assert!(a.success.starts_with("answered"), "{}: {}", a.method, a.success);
        assert!(a.refusal.starts_with("refused"), "{}: {}", a.method, a.refusal);
        println!("{}\n  {}\n  {}", a.method, a.success, a.refusal);
    }
    println!(
        "{} asks of {} services, each in process and over TCP",
        asked.len(),
        merx_contracts::SERVICES.len()
    );
    here.close().await;
    there.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_port_tells_what_it_serves_and_that_it_does() {
    let port = Port::open().await;
    let mut health = HealthClient::with_interceptor(port.channel.clone(), with_token);
    for service in merx_contracts::SERVICES.iter().copied().chain([""]) {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = health.check(request).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
    }
    let unknown = health.check(HealthCheckRequest { service: "merx.wine.v1.Wine".to_owned() }).await;
    assert_eq!(unknown.unwrap_err().code(), Code::NotFound);

    let mut reflection = ServerReflectionClient::with_interceptor(port.channel.clone(), with_token);
    let mut told = async |what: MessageRequest| {
        let request = ServerReflectionRequest { host: String::new(), message_request: Some(what) };
        let mut answers =
            reflection.server_reflection_info(stream::iter([request])).await.unwrap().into_inner();
        answers.message().await.unwrap().unwrap().message_response.unwrap()
    };
    let MessageResponse::ListServicesResponse(list) = told(MessageRequest::ListServices(String::new())).await
    else {
        panic!("not a list")
    };
    let listed: BTreeSet<String> = list.service.into_iter().map(|service| service.name).collect();
    for service in merx_contracts::SERVICES.iter().copied().chain(["grpc.health.v1.Health"]) {
        assert!(listed.contains(service), "{service} is not among {listed:?}");
        let symbol = MessageRequest::FileContainingSymbol(service.to_owned());
        let MessageResponse::FileDescriptorResponse(files) = told(symbol).await else {
            panic!("{service} has no descriptor")
        };
        assert!(!files.file_descriptor_proto.is_empty());
    }
    println!("reflection lists {listed:?}");
    drop((health, reflection));
    port.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_token_there_is_nothing() {
    let port = Port::open().await;
    let request =
        || ContactRequest { account_id: "acc_00000000000000000000000001".to_owned(), ..Default::default() };
    let strange = Peer::remote(port.channel.clone(), token("another-token-of-thirty-two-chars"));
    let refused = ask(AccountsClient::new(strange).contact(request()).await).unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::Unauthenticated, "rpc.token_wrong"));

    // Nothing at all is told without one: not even what there is.
    let mut bare = AccountsClient::new(port.channel.clone());
    assert_eq!(bare.contact(request()).await.unwrap_err().code(), Code::Unauthenticated);
    let mut health = HealthClient::new(port.channel.clone());
    let checked = health.check(HealthCheckRequest::default()).await;
    assert_eq!(checked.unwrap_err().code(), Code::Unauthenticated);
    let mut reflection = ServerReflectionClient::new(port.channel.clone());
    let list = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let listed = reflection.server_reflection_info(stream::iter([list])).await;
    assert_eq!(listed.unwrap_err().code(), Code::Unauthenticated);
    for path in ["/merx.wine.v1.Wine/Pour", "/", "/merx.accounts.v1.Accounts/Nothing"] {
        let (without, with) = (call(&port, path, false).await, call(&port, path, true).await);
        assert_eq!(without, Code::Unauthenticated, "{path}");
        assert_eq!(with, Code::Unimplemented, "{path}");
    }
    drop((bare, health, reflection));
    port.close().await;
}

/// What a call of anything is answered.
async fn call(port: &Port, path: &'static str, with: bool) -> Code {
    let mut client = tonic::client::Grpc::new(port.channel.clone());
    client.ready().await.unwrap();
    let mut request = Request::new(ContactRequest::default());
    if with {
        let value = AsciiMetadataValue::try_from(format!("Bearer {TOKEN}")).unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    let codec = tonic_prost::ProstCodec::<ContactRequest, ContactRequest>::default();
    client.unary(request, PathAndQuery::from_static(path), codec).await.unwrap_err().code()
}

//! What requests need of the network: the addresses of a name, and a connection to an address.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Mutex, PoisonError},
};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared, WeakShared},
};
use tokio::net::{TcpStream, lookup_host};

/// The network. It is a seam: tests have names and addresses of their own.
pub trait Network: Send + Sync {
    /// The addresses of a name.
    fn look_up(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;

    /// A connection to an address.
    fn connect(&self, address: SocketAddr) -> BoxFuture<'static, io::Result<TcpStream>>;
}

/// The network of this machine, with names as its resolver has them.
#[derive(Debug, Clone, Copy)]
pub struct System;

impl Network for System {
    fn look_up(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        // The resolver of the system wants a port, too.
        let name = (name.to_owned(), 0);
        async move { Ok(lookup_host(name).await?.map(|address| address.ip()).collect()) }.boxed()
    }

    fn connect(&self, address: SocketAddr) -> BoxFuture<'static, io::Result<TcpStream>> {
        TcpStream::connect(address).boxed()
    }
}

/// The addresses of a name; nothing if it does not resolve.
type LookUp = BoxFuture<'static, Vec<IpAddr>>;

/// The look-ups under way. Each takes a thread, and a name server that does not answer holds it for long. So requests that
/// need the same name at the same time share one.
#[derive(Default)]
pub(super) struct LookUps(Mutex<HashMap<String, WeakShared<LookUp>>>);

impl LookUps {
    /// The addresses of a name; nothing if it does not resolve.
    pub(super) async fn look_up(&self, network: &dyn Network, name: &str) -> Vec<IpAddr> {
        self.shared(network, name).await
    }

    fn shared(&self, network: &dyn Network, name: &str) -> Shared<LookUp> {
        let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let unfinished = |shared: Shared<LookUp>| shared.peek().is_none().then_some(shared);
        if let Some(shared) = under_way.get(name).and_then(WeakShared::upgrade).and_then(unfinished) {
            return shared;
        }
        let look_up = network.look_up(name);
        let shared = async { look_up.await.unwrap_or_default() }.boxed().shared();
        under_way.retain(|_, shared| shared.upgrade().is_some());
        under_way.extend(shared.downgrade().map(|shared| (name.to_owned(), shared)));
        shared
    }
}

//! Sockets on this machine, and what is served on them until the system stops.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::instrument::WithSubscriber;

use crate::gateway::raw_query::{LenientListener, Peer};

/// One port, on each loopback address that this machine has.
pub(crate) struct Listener {
    sockets: Vec<TcpListener>,
    pub(crate) port: u16,
}

/// Why nobody can listen there.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Passwords and keys of the local system are public: it is for this machine alone.
    #[error("{0} is not a loopback address; the local system has well-known passwords and serves this machine alone")]
    NotLoopback(IpAddr),
    /// Another program listens there.
    #[error("port {0} is taken by another program; stop it, or choose another with --listen 127.0.0.1:PORT")]
    Taken(u16),
    /// The operating system refused for another reason.
    #[error("cannot listen on {0}: {1}")]
    Refused(SocketAddr, io::Error),
}

impl Listener {
    /// On `address`; if that is 127.0.0.1, on `::1` as well where there is one: `localhost` means either. Port 0 is any free one.
    pub(crate) async fn bind(address: SocketAddr) -> Result<Self, ListenError> {
        // A free port of one address may be taken on the other.
        const TRIES: usize = 20;

        if !address.ip().is_loopback() {
            return Err(ListenError::NotLoopback(address.ip()));
        }
        let mut tried = 0;
        loop {
            tried += 1;
            let first = bind(address).await?;
            let port = first.local_addr().map_err(|error| ListenError::Refused(address, error))?.port();
            if address.ip() != Ipv4Addr::LOCALHOST {
                return Ok(Self { sockets: vec![first], port });
            }
            match bind(SocketAddr::from((Ipv6Addr::LOCALHOST, port))).await {
                Ok(second) => return Ok(Self { sockets: vec![first, second], port }),
                Err(ListenError::Taken(_)) if address.port() == 0 && tried < TRIES => {}
                Err(ListenError::Taken(port)) => return Err(ListenError::Taken(port)),
                // No IPv6 on this machine.
                Err(_) => return Ok(Self { sockets: vec![first], port }),
            }
        }
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => ListenError::Taken(address.port()),
        _ => ListenError::Refused(address, error),
    })
}

/// Everything that is being served. Dropped, it is cut off; stopped, it may finish.
pub(crate) struct Servers {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Servers {
    pub(crate) fn new() -> Self {
        Self { tasks: JoinSet::new(), stop: watch::Sender::new(false) }
    }

    /// Serves `router` to whoever connects.
    pub(crate) fn serve(&mut self, listener: Listener, router: &Router) {
        for socket in listener.sockets {
            let service = router.clone().into_make_service_with_connect_info::<SocketAddr>();
            let stopped = self.stopped();
            self.spawn(async move {
                if let Err(error) = axum::serve(socket, service).with_graceful_shutdown(stopped).await {
                    tracing::error!(%error, "a server ended");
                }
            });
        }
    }

    /// Serves the API to whoever connects, whatever they send.
    pub(crate) fn serve_api(&mut self, listener: Listener, router: &Router) {
        for socket in listener.sockets {
            let service = router.clone().into_make_service_with_connect_info::<Peer>();
            let stopped = self.stopped();
            self.spawn(async move {
                if let Err(error) = axum::serve(LenientListener(socket), service).with_graceful_shutdown(stopped).await
                {
                    tracing::error!(%error, "a server ended");
                }
            });
        }
    }

    /// Serves the tables.
    pub(crate) async fn serve_tables(&mut self, database: dynoxide::Database) -> Result<u16, ListenError> {
        let Listener { sockets, port } = Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        for socket in sockets {
            let (database, stopped) = (database.clone(), self.stopped());
            self.spawn(async move {
                if let Err(error) = dynoxide::server::serve_with_shutdown(socket, database, stopped).await {
                    tracing::error!(error, "the tables' server ended");
                }
            });
        }
        Ok(port)
    }

    /// Runs `task` for as long as anything is served.
    pub(crate) fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task.with_current_subscriber());
    }

    /// When [`Self::stop`] was called.
    pub(crate) fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut stop = self.stop.subscribe();
        // The sender is gone with the system, which is a stop as well.
        async move { drop(stop.wait_for(|stop| *stop).await) }
    }

    /// Lets requests finish that have begun, but not for ever.
    pub(crate) async fn stop(mut self) {
        const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);

        self.stop.send_replace(true);
        let finished = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(SHUTDOWN_TIMEOUT, finished).await.is_err() {
            tracing::info!("requests that had not finished were cut off");
            self.tasks.shutdown().await;
        }
    }
}

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
    #[error(
        "{0} is not a loopback address, and the local system, whose passwords are well known, serves this machine alone; choose \
         another with --listen 127.0.0.1:PORT"
    )]
    NotLoopback(IpAddr),
    /// People are sent to `localhost`, which is another address.
    #[error(
        "{0} is not what localhost means, and localhost is where people are sent: choose another with --listen \
         127.0.0.1:PORT or [::1]:PORT"
    )]
    NotLocalhost(IpAddr),
    /// This user may not.
    #[error("port {0} is for administrators of this machine; choose one from 1024 on with --listen 127.0.0.1:PORT")]
    Forbidden(u16),
    /// There is no such address.
    #[error("this machine has no address {0}; choose another with --listen 127.0.0.1:PORT")]
    NoAddress(IpAddr),
    /// Another program listens there.
    #[error("port {0} is taken by another program; stop it, or choose another with --listen 127.0.0.1:PORT")]
    Taken(u16),
    /// The operating system refused for another reason.
    #[error("cannot listen on {0} ({1}); choose another address with --listen 127.0.0.1:PORT")]
    Refused(SocketAddr, io::Error),
}

impl Listener {
    /// On `address` and, where there is one, on the other address that `localhost` means. Port 0 is any free one.
    pub(crate) async fn bind(address: SocketAddr) -> Result<Self, ListenError> {
        // A free port of one address may be taken on the other.
        const TRIES: usize = 20;

        let other = match address.ip() {
            ip if ip == Ipv4Addr::LOCALHOST => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip if ip == Ipv6Addr::LOCALHOST => IpAddr::V4(Ipv4Addr::LOCALHOST),
            ip if ip.is_loopback() => return Err(ListenError::NotLocalhost(ip)),
            ip => return Err(ListenError::NotLoopback(ip)),
        };
        let mut tried = 0;
        loop {
            tried += 1;
            let first = bind(address).await?;
            let port = first.local_addr().map_err(|error| ListenError::Refused(address, error))?.port();
            match bind(SocketAddr::new(other, port)).await {
                Ok(second) => return Ok(Self { sockets: vec![first, second], port }),
                Err(ListenError::Taken(_)) if address.port() == 0 && tried < TRIES => {}
                Err(ListenError::Taken(port)) => return Err(ListenError::Taken(port)),
                // This machine has but one of them.
                Err(_) => return Ok(Self { sockets: vec![first], port }),
            }
        }
    }

    /// As [`Self::bind`], or on any free port if that one is taken, which is told then.
    pub(crate) async fn bind_or_any(address: SocketAddr) -> Result<(Self, Option<u16>), ListenError> {
        match Self::bind(address).await {
            Err(ListenError::Taken(port)) => Ok((Self::bind(SocketAddr::new(address.ip(), 0)).await?, Some(port))),
            bound => Ok((bound?, None)),
        }
    }

    /// Its origin as people and browsers have it, which is without a port where the port is that of http.
    pub(crate) fn origin(&self) -> String {
        match self.port {
            80 => "http://localhost".to_owned(),
            port => format!("http://localhost:{port}"),
        }
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => ListenError::Taken(address.port()),
        io::ErrorKind::PermissionDenied => ListenError::Forbidden(address.port()),
        io::ErrorKind::AddrNotAvailable => ListenError::NoAddress(address.ip()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn localhost_is_both_addresses_and_nothing_else() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = Listener::bind(address.parse().unwrap()).await else { continue };
            assert_eq!(listener.origin(), format!("http://localhost:{}", listener.port));
            let taken = Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, listener.port))).await.err().unwrap();
            let expected = format!("port {} is taken by another program; stop it, or choose", listener.port);
            assert!(taken.to_string().starts_with(&expected), "{taken}");
        }
        for (address, expected) in [("127.0.0.2:0", "is not what localhost means"), ("0.0.0.0:0", "is not a loopback")]
        {
            let refused = Listener::bind(address.parse().unwrap()).await.err().unwrap().to_string();
            assert!(refused.contains(expected), "{refused}");
        }
    }

    #[test]
    fn the_port_of_http_is_not_in_an_origin() {
        let at = |port| Listener { sockets: Vec::new(), port }.origin();
        assert_eq!((at(80).as_str(), at(65535).as_str()), ("http://localhost", "http://localhost:65535"));
    }

    #[test]
    fn a_refused_port_says_what_to_do() {
        let refused = ListenError::Forbidden(80).to_string();
        assert!(refused.contains("port 80 is for administrators") && refused.contains("--listen"), "{refused}");
    }
}

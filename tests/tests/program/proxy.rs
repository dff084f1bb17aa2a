//! A way to a server that a test cuts and heals: the network of a machine.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

/// Hands every connection on to a server, until it is cut.
pub struct Proxy {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    is_cut: bool,
    is_over: bool,
    /// Both ends of every connection.
    open: Vec<TcpStream>,
    /// Connections that were refused since it was cut.
    refused: usize,
}

impl Proxy {
    /// A way to the server of an address, `http://HOST:PORT`.
    pub fn to(server: &str) -> Self {
        let server = server.strip_prefix("http://").expect("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        let accepting = std::thread::spawn(move || {
            for client in listener.incoming() {
                let mut state = shared.lock().expect("a state");
                if state.is_over {
                    return;
                }
                if state.is_cut {
                    // It is closed at once, unread.
                    state.refused += 1;
                } else if let Err(error) = client.and_then(|client| join(client, &server, &mut state.open)) {
                    eprintln!("a connection that the proxy cannot hand on: {error}");
                }
            }
        });
        Self {
            address,
            state,
            accepting: Some(accepting),
        }
    }

    /// The address that stands for the server's.
    pub fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("a state")
    }

    /// Closes every connection and refuses new ones.
    pub fn cut(&self) {
        let mut state = self.state();
        state.is_cut = true;
        for end in state.open.drain(..) {
            // One that has ended by itself is closed already.
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    /// Hands connections on again.
    pub fn heal(&self) {
        self.state().is_cut = false;
    }

    /// Connections that were refused since it was cut.
    pub fn refused(&self) -> usize {
        self.state().refused
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
        self.state().is_over = true;
        // The thread waits for a connection; this is its last.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

/// Joins a client and the server, one thread for each direction.
fn join(client: TcpStream, server: &str, open: &mut Vec<TcpStream>) -> io::Result<()> {
    let server = TcpStream::connect(server)?;
    for (from, to) in [(&client, &server), (&server, &client)] {
        let (mut from, mut to) = (from.try_clone()?, to.try_clone()?);
        std::thread::spawn(move || {
            // A cut ends it with an error.
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
    }
    open.extend([client, server]);
    Ok(())
}

//! TCP echoes of 64 bytes. Server and clients share one CPU: across two of them the machine's
//! wake-ups would be measured.
//!
//! The clients are one process of plain blocking calls: it sends a message on every connection,
//! then reads every echo, the last one first, so that it sleeps once and not for each. It costs the
//! same whoever serves.

use crate::error::{Context, Error, Result};
use crate::meter::{Budget, Sample};
use crate::ring::{Page, Ring, pages};
use crate::sys::{self, Child};
use rustix::event::epoll;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};

/// Bytes of a message.
const MESSAGE: usize = 64;
/// Marks the tag of a send, beside the connection's number.
const SEND: u64 = 1 << 32;

/// Connected sockets, the server's ends, and the process at the other ends.
struct Peers {
    servers: Vec<TcpStream>,
    _clients: Child,
}

impl Peers {
    fn connect(count: usize) -> Result<Peers> {
        sys::stay_on_one_cpu()?;
        sys::want_descriptors(2 * count as u64 + 64)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).during("bind")?;
        let address = listener.local_addr().during("getsockname")?;
        let (mut servers, mut clients) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let client = TcpStream::connect(address).during("connect")?;
            client.set_nodelay(true).during("setsockopt")?;
            let (server, _) = listener.accept().during("accept")?;
            server.set_nodelay(true).during("setsockopt")?;
            clients.push(client);
            servers.push(server);
        }
        let child = Child::fork(|| while talk(&clients).is_ok() {})?;
        Ok(Peers { servers, _clients: child })
    }
}

/// One round of every client. System calls only: it runs in a fork.
fn talk(clients: &[TcpStream]) -> std::io::Result<()> {
    let mut message = [7; MESSAGE];
    for mut client in clients {
        client.write_all(&message)?;
    }
    for mut client in clients.iter().rev() {
        client.read_exact(&mut message)?;
    }
    Ok(())
}

pub(crate) fn ring(connections: usize, budget: Budget) -> Result<Sample> {
    let peers = Peers::connect(connections)?;
    let sockets: Vec<_> = peers.servers.iter().map(AsRawFd::as_raw_fd).collect();
    let memory = pages(connections);
    let mut ring = Ring::new(connections.next_power_of_two().max(8) as u32)?;
    let mut entries = ring.batch();
    for (slot, socket) in sockets.iter().enumerate() {
        entries.recv(*socket, memory[slot], slot as u64);
    }
    drop(entries);
    let mut server = Server { ring, sockets, memory, done: Vec::with_capacity(connections) };
    let sample = budget.run(|| whole_rounds(connections, || server.serve()))?;
    Ok(Sample { served_by: server.ring.served_by(), ..sample })
}

/// As many echoes as there are connections, so that as much of the clients' work as of the
/// server's falls within.
fn whole_rounds(connections: usize, mut serve: impl FnMut() -> Result<u64>) -> Result<u64> {
    let mut echoes = 0;
    while echoes < connections as u64 {
        echoes += serve()?;
    }
    Ok(echoes)
}

struct Server {
    ring: Ring,
    sockets: Vec<RawFd>,
    memory: Vec<&'static Page>,
    /// Completions that were taken, by tag and result.
    done: Vec<(u64, i32)>,
}

impl Server {
    /// Waits for anything to complete and goes on with it; returns how many echoes were sent.
    fn serve(&mut self) -> Result<u64> {
        self.ring.submit_and_wait(1)?;
        self.done.clear();
        self.ring.take(|tag, result| {
            self.done.push((tag, result));
            Ok(())
        })?;
        let mut echoes = 0;
        let mut entries = self.ring.batch();
        for (tag, result) in &self.done {
            // Messages of 64 bytes on a loopback are neither split nor merged here, for each
            // client waits for its echo.
            if *result != MESSAGE as i32 {
                return Err(Error::Wrong { what: "echo", answer: (*result).into() });
            }
            let slot = (tag & !SEND) as usize;
            let (socket, page) = (self.sockets[slot], self.memory[slot]);
            if tag & SEND == 0 {
                entries.send(socket, page, MESSAGE as u32, tag | SEND);
            } else {
                entries.recv(socket, page, slot as u64);
                echoes += 1;
            }
        }
        Ok(echoes)
    }
}

/// A server of non-blocking sockets under level-triggered epoll.
pub(crate) fn plain(connections: usize, budget: Budget) -> Result<Sample> {
    let peers = Peers::connect(connections)?;
    let set = epoll::create(epoll::CreateFlags::CLOEXEC).during("epoll_create")?;
    for (slot, socket) in peers.servers.iter().enumerate() {
        socket.set_nonblocking(true).during("ioctl")?;
        let data = epoll::EventData::new_u64(slot as u64);
        epoll::add(&set, socket, data, epoll::EventFlags::IN).during("epoll_ctl")?;
    }
    let mut events = Vec::with_capacity(connections);
    let mut message = [0; MESSAGE];
    let mut serve = || {
        let room = rustix::buffer::spare_capacity(&mut events);
        epoll::wait(&set, room, None).during("epoll_wait")?;
        for event in &events {
            let mut socket = &peers.servers[event.data.u64() as usize];
            let received = socket.read(&mut message).during("read")?;
            let sent = socket.write(&message[..received]).during("write")?;
            if sent != MESSAGE {
                return Err(Error::Wrong { what: "echo", answer: sent as i64 });
            }
        }
        let echoes = events.len() as u64;
        events.clear();
        Ok(echoes)
    };
    budget.run(|| whole_rounds(connections, &mut serve))
}

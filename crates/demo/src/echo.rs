//! Serving TCP echoes: one thread and one ring for all connections, clients by plain sockets.
#![expect(unsafe_code, reason = "submissions name memory that must outlive them")]

use crate::checked;
use io_uring::{IoUring, opcode, squeue, types::Fd};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

const CLIENTS: usize = 8;
/// Messages that each client sends, each only when the one before has come back.
const MESSAGES: usize = 500;
const MESSAGE: usize = 64;
/// A client that hears nothing for so long takes the server for gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a completion is of, above the connection's slot in the user data.
const ACCEPT: u64 = 1 << 32;
const RECEIVE: u64 = 2 << 32;
const SEND: u64 = 3 << 32;
const CLOSE: u64 = 4 << 32;
const KIND: u64 = !(u32::MAX as u64);

/// Serves all clients to their end; returns how many echoes they received and verified.
pub(crate) fn serve(ring: &mut IoUring) -> io::Result<usize> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    std::thread::scope(|scope| {
        let clients: Vec<_> =
            (0..CLIENTS).map(|id| scope.spawn(move || client(address, id))).collect();
        let served = echo_all(ring, &listener);
        let echoes: io::Result<usize> =
            clients.into_iter().map(|client| client.join().expect("clients do not panic")).sum();
        served.and(echoes)
    })
}

/// Sends messages that differ from each other and checks each echo.
fn client(address: SocketAddr, id: usize) -> io::Result<usize> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    for number in 0..MESSAGES {
        let mut message = [id as u8; MESSAGE];
        message[..8].copy_from_slice(&(number as u64).to_le_bytes());
        stream.write_all(&message)?;
        let mut echo = [0; MESSAGE];
        stream.read_exact(&mut echo)?;
        if echo != message {
            return Err(io::Error::other(format!(
                "client {id}: echo {number} is not what was sent"
            )));
        }
    }
    Ok(MESSAGES)
}

/// One client's side of the server.
struct Connection {
    socket: Fd,
    /// Never freed: whatever fails, no request in flight can outlive it.
    buffer: &'static mut [u8; MESSAGE],
    /// How much of the buffer was received and is to be sent back.
    filled: u32,
    /// How much of that has been sent.
    sent: u32,
}

impl Connection {
    fn new(socket: u32) -> Connection {
        let buffer = Box::leak(Box::new([0; MESSAGE]));
        Connection { socket: Fd(socket.cast_signed()), buffer, filled: 0, sent: 0 }
    }

    fn receive(&mut self) -> squeue::Entry {
        opcode::Recv::new(self.socket, self.buffer.as_mut_ptr(), MESSAGE as u32).build()
    }

    fn send(&mut self) -> squeue::Entry {
        let rest = &self.buffer[self.sent as usize..self.filled as usize];
        opcode::Send::new(self.socket, rest.as_ptr(), rest.len() as u32).build()
    }
}

fn echo_all(ring: &mut IoUring, listener: &TcpListener) -> io::Result<()> {
    let mut connections: Vec<Connection> = Vec::with_capacity(CLIENTS);
    let mut open = CLIENTS;
    let nobody = std::ptr::null_mut();
    let accept = || opcode::Accept::new(Fd(listener.as_raw_fd()), nobody, nobody.cast()).build();
    push(ring, accept().user_data(ACCEPT))?;
    while open > 0 {
        ring.submit_and_wait(1)?;
        let done: Vec<_> = ring.completion().map(|it| (it.user_data(), it.result())).collect();
        for (tag, result) in done {
            let amount = checked(result)?;
            let (kind, slot) = (tag & KIND, tag & !KIND);
            if kind == ACCEPT {
                let slot = connections.len() as u64;
                connections.push(Connection::new(amount));
                push(ring, connections[slot as usize].receive().user_data(RECEIVE | slot))?;
                if connections.len() < CLIENTS {
                    push(ring, accept().user_data(ACCEPT))?;
                }
                continue;
            }
            let connection = &mut connections[slot as usize];
            match kind {
                CLOSE => open -= 1,
                RECEIVE if amount == 0 => {
                    let close = opcode::Close::new(connection.socket).build();
                    push(ring, close.user_data(CLOSE | slot))?;
                }
                RECEIVE => {
                    (connection.filled, connection.sent) = (amount, 0);
                    push(ring, connection.send().user_data(SEND | slot))?;
                }
                _ => {
                    connection.sent += amount;
                    let sent_all = connection.sent == connection.filled;
                    let next = if sent_all {
                        connection.receive().user_data(RECEIVE | slot)
                    } else {
                        connection.send().user_data(SEND | slot)
                    };
                    push(ring, next)?;
                }
            }
        }
    }
    Ok(())
}

/// Queues an entry; a connection has one in flight at a time, so the ring has room for all.
fn push(ring: &mut IoUring, entry: squeue::Entry) -> io::Result<()> {
    // SAFETY: the entries above name buffers that are never freed, and each buffer is touched
    // again only when its connection's one request has completed.
    unsafe { ring.submission().push(&entry) }.map_err(io::Error::other)
}

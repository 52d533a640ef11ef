//! Programs whose entries and registrations are bytes, as a broken client would send them.
//!
//! Only what would act on the test itself is bent: a descriptor's number is taken as one of the
//! world's, and an address that carries a mark as one of the world's memory. All other bits are as
//! the bytes have them.

use super::entry::harmless;
use super::program::{Setup, up_to};
use super::{Addr, Fd, World};
use crate::{Ring, Target};
use arbitrary::{Arbitrary, Unstructured};
use ringfence_abi::*;

/// One thing that the client sends.
#[derive(Arbitrary, Clone, Debug, PartialEq, Eq)]
pub enum Raw {
    /// An entry, submitted alone.
    Entry([u8; 64]),
    /// Entries, submitted together.
    Entries(#[arbitrary(with = up_to::<8, [u8; 64]>)] Vec<[u8; 64]>),
    /// A registration: opcode, count, what its argument points to.
    Register(u8, u8, #[arbitrary(with = up_to::<12, [u8; 8]>)] Vec<[u8; 8]>),
    /// A registration with a number as its argument.
    RegisterAt(u8, u32, u64),
    /// An enter with any flags and any extended argument.
    Enter(u8, u8, u32, [u64; 3]),
    /// Bytes over the rings' memory, at an offset.
    Over(u16, #[arbitrary(with = up_to::<32, u8>)] Vec<u8>),
    /// Bytes over the entries' memory.
    OverEntries(u16, #[arbitrary(with = up_to::<64, u8>)] Vec<u8>),
}

/// What the client sends, on which ring.
#[derive(Arbitrary, Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its ring.
    pub setup: Setup,
    /// What it sends.
    #[arbitrary(with = up_to::<24, Raw>)]
    pub sent: Vec<Raw>,
}

/// The mark of an address of the world: these bits, then its kind, then its offset.
const MARK: u64 = 0xaa;

fn address(world: &World, value: u64) -> u64 {
    if value >> 56 != MARK {
        return value;
    }
    let low = value as u16;
    match (value >> 48) as u8 % 8 {
        0..=2 => world.addr(Addr::Arena(low)),
        3 | 4 => world.addr(Addr::Template(low as u8)),
        5 => world.addr(Addr::Path(low as u8)),
        6 => world.addr(Addr::Edge(low as u8)),
        _ => world.addr(Addr::ReadOnly(low as u8)),
    }
}

fn descriptor(world: &World, value: i32) -> i32 {
    // Any choice of the world's, by the bytes of the number.
    let bytes = value.to_le_bytes();
    Unstructured::new(&bytes).arbitrary::<Fd>().map_or(-1, |fd| world.fd(fd))
}

fn sqe(world: &World, bytes: &[u8; 64]) -> Sqe {
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight"));
    let (first, lens, user_data, rest) = (word(0), word(24), word(32), word(40));
    harmless(Sqe {
        // A few numbers beyond the last opcode; far ones are as good as these.
        opcode: first as u8 % (Op::COUNT as u8 + 3),
        flags: (first >> 8) as u8,
        ioprio: (first >> 16) as u16,
        fd: descriptor(world, (first >> 32) as i32),
        off: address(world, word(8)),
        addr: address(world, word(16)),
        len: lens as u32,
        op_flags: (lens >> 32) as u32,
        user_data,
        buf_index: rest as u16,
        personality: (rest >> 16) as u16,
        file_index: (rest >> 32) as u32,
        addr3: address(world, word(48)),
        pad2: word(56),
    })
}

/// Runs a session on a target; panics as [`super::run`] does.
pub fn run(target: &dyn Target, session: &Session) {
    super::run::on_ring(target, &session.setup, |ring, world| {
        session.sent.iter().for_each(|raw| send(ring, world, raw));
    });
}

fn send(ring: &mut Ring<'_>, world: &World, raw: &Raw) {
    match raw {
        Raw::Entry(bytes) => submit(ring, world, std::slice::from_ref(bytes)),
        Raw::Entries(all) => submit(ring, world, all),
        Raw::Register(opcode, count, words) => {
            let words: Vec<u64> =
                words.iter().map(|word| address(world, u64::from_le_bytes(*word))).collect();
            let arg = world.poke(0x800, &words);
            register(ring, *opcode, arg, u32::from(*count));
        }
        Raw::RegisterAt(opcode, count, arg) => {
            register(ring, *opcode, address(world, *arg), *count);
        }
        Raw::Enter(submit, want, flags, arg) => {
            let flags = flags & !(IORING_ENTER_EXT_ARG_REG | IORING_ENTER_SQ_WAIT);
            let words = [address(world, arg[0]), arg[1], address(world, arg[2])];
            let is_bounded = flags & IORING_ENTER_EXT_ARG != 0 && words[2] != 0;
            let want = if is_bounded { u32::from(*want) % 2 } else { 0 };
            let at = world.poke(0xa00, &words);
            let _ = ring.enter_raw(u32::from(*submit), want, flags, at, 24);
        }
        // See `run::is_endless`: the tail is among the first words.
        Raw::Over(..) if ring.params.flags & IORING_SETUP_SQPOLL != 0 => {}
        Raw::Over(at, bytes) => scribble(ring.memory(), *at, bytes),
        Raw::OverEntries(at, bytes) => scribble(ring.sqe_memory(), *at, bytes),
    }
}

fn submit(ring: &mut Ring<'_>, world: &World, all: &[[u8; 64]]) {
    for bytes in all {
        if ring.sq_room() == 0 || ring.sq_room() > ring.params.sq_entries {
            break;
        }
        ring.push(sqe(world, bytes));
    }
    let count = ring.flush();
    let _ = ring.enter(count, 0, 0);
}

fn register(ring: &Ring<'_>, opcode: u8, arg: u64, count: u32) {
    let opcode = u32::from(opcode) % (RegisterOp::ALL.len() as u32 + 2);
    // It waits without end if it is told to.
    if opcode != RegisterOp::SyncCancel as u32 {
        let _ = ring.register_code(opcode, arg, count);
    }
}

fn scribble(over: &crate::Mapping, at: u16, bytes: &[u8]) {
    for (i, byte) in bytes.iter().enumerate() {
        over.write((usize::from(at) + i) % over.len(), *byte);
    }
}

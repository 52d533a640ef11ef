//! Finds call sites of io_uring's system calls in machine code.
//!
//! A site is `mov eax, 425..=427` followed by straight-line code up to a `syscall`. Compilers put
//! argument loads between the two, and sometimes a direct jump to a shared `syscall`; both are
//! followed. What calls the kernel with a number that the code does not show is a *suspect*: it may
//! be io_uring's, and only a trap can tell.
//!
//! Safe code over bytes: memory is read by `objects`, written by `patch`.

use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, OpAccess,
    OpKind, Register,
};
use memchr::memmem;

/// The numbers of `io_uring_setup`, `io_uring_enter` and `io_uring_register`.
pub(crate) const NUMBERS: std::ops::RangeInclusive<u32> = 425..=427;

/// How many instructions may stand between the number and the call.
const BODY_MAX: usize = 48;

/// How far before a `syscall` a number is looked for, in bytes.
const REACH: usize = 192;

/// A call of io_uring whose number is in the code.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// Address of the instruction that loads the number.
    pub(crate) at: u64,
    /// Length of that instruction: 5, or 7 for the form with REX.W.
    pub(crate) len: usize,
    /// The number.
    #[cfg_attr(not(test), expect(dead_code, reason = "kept for the log and the tests"))]
    pub(crate) number: u32,
    /// What stands between, jumps left out; addresses as in the original.
    pub(crate) body: Vec<Instruction>,
    /// The instruction that loads the number.
    pub(crate) load: Instruction,
    /// Address of the `syscall`.
    pub(crate) call: u64,
}

/// What a piece of code holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// Sites that can be led to the engine.
    pub(crate) sites: Vec<Site>,
    /// Addresses of `syscall` instructions whose number cannot be seen, or whose way from the
    /// number is no straight line.
    pub(crate) suspects: Vec<u64>,
    /// Addresses of all other `0f 05` bytes, whether they are instructions or parts of some.
    pub(crate) others: Vec<u64>,
}

/// Scans `code`, which starts at address `base`.
pub(crate) fn scan(code: &[u8], base: u64) -> Found {
    let calls: Vec<usize> = memmem::find_iter(code, &[0x0f, 0x05]).collect();
    let mut found = Found::default();
    if calls.is_empty() {
        return found;
    }
    let mut info = InstructionInfoFactory::new();
    for start in number_loads(code) {
        if let Some(site) = follow(code, base, start, &mut info)
            && NUMBERS.contains(&(site.load.immediate32()))
            && is_boundary(code, base, start)
        {
            found.sites.push(site);
        }
    }
    for &call in &calls {
        let address = base + call as u64;
        let known = found.sites.iter().any(|site| site.call == address)
            || has_known_number(code, base, call, &mut info)
            || !is_boundary(code, base, call);
        if known {
            found.others.push(address);
        } else {
            found.suspects.push(address);
        }
    }
    found
}

/// Offsets at which a number of io_uring seems to be loaded into eax.
fn number_loads(code: &[u8]) -> impl Iterator<Item = usize> + '_ {
    memmem::find_iter(code, &[0x01, 0x00, 0x00]).filter_map(move |tail| {
        let low = tail.checked_sub(1)?;
        if !NUMBERS.contains(&(0x100 + u32::from(code[low]))) {
            return None;
        }
        let before = |n: usize| low.checked_sub(n).map(|at| code[at]);
        match (before(3), before(2), before(1)) {
            (Some(0x48), Some(0xc7), Some(0xc0)) => Some(low - 3),
            (_, prefix, Some(0xb8)) if !prefix.is_some_and(|b| (0x40..0x50).contains(&b)) => {
                Some(low - 1)
            }
            _ => None,
        }
    })
}

/// Decodes from the load of a number at offset `start` along the straight line to its `syscall`.
fn follow(code: &[u8], base: u64, start: usize, info: &mut InstructionInfoFactory) -> Option<Site> {
    let mut decoder =
        Decoder::with_ip(64, &code[start..], base + start as u64, DecoderOptions::NONE);
    let load = decoder.decode();
    if !loads_number(&load) {
        return None;
    }
    let mut body = Vec::new();
    for _ in 0..BODY_MAX {
        if !decoder.can_decode() {
            return None;
        }
        let next = decoder.decode();
        match next.code() {
            Code::Syscall => {
                return Some(Site {
                    at: load.ip(),
                    len: load.len(),
                    number: load.immediate32(),
                    body,
                    load,
                    call: next.ip(),
                });
            }
            Code::Jmp_rel8_64 | Code::Jmp_rel32_64 => {
                let target = next.near_branch_target().checked_sub(base)? as usize;
                let rest = code.get(target..)?;
                decoder = Decoder::with_ip(64, rest, base + target as u64, DecoderOptions::NONE);
            }
            Code::INVALID => return None,
            _ if next.flow_control() != FlowControl::Next => return None,
            _ if writes_number(&next, info) => return None,
            _ => body.push(next),
        }
    }
    None
}

/// `mov eax, imm32`, `mov rax, imm32`, or `xor eax, eax`.
fn loads_number(load: &Instruction) -> bool {
    matches!(load.code(), Code::Mov_r32_imm32 | Code::Mov_rm64_imm32 | Code::Mov_rm32_imm32)
        && matches!(load.op0_register(), Register::EAX | Register::RAX)
        || matches!(load.code(), Code::Xor_r32_rm32 | Code::Xor_rm32_r32)
            && load.op0_register() == Register::EAX
            && load.op1_register() == Register::EAX
}

fn writes_number(instruction: &Instruction, info: &mut InstructionInfoFactory) -> bool {
    info.info(instruction).used_registers().iter().any(|used| {
        used.register().full_register() == Register::RAX
            && !matches!(used.access(), OpAccess::Read | OpAccess::CondRead | OpAccess::None)
    })
}

/// Whether the number of the `syscall` at offset `call` is a constant that is not io_uring's.
fn has_known_number(
    code: &[u8],
    base: u64,
    call: usize,
    info: &mut InstructionInfoFactory,
) -> bool {
    let address = base + call as u64;
    let first = call.saturating_sub(REACH);
    (first..call).rev().any(|start| {
        // After a prefix these bytes are another register's.
        let prefixed = start > 0 && (0x40..0x50).contains(&code[start - 1]);
        matches!(code[start], 0xb8 | 0x31 | 0x33 | 0xc7 | 0x48)
            && !prefixed
            && follow(code, base, start, info).is_some_and(|site| {
                site.call == address
                    && (site.load.op1_kind() == OpKind::Register
                        || !NUMBERS.contains(&site.load.immediate32()))
            })
            && is_boundary(code, base, start)
    })
}

/// Whether an instruction starts at offset `at`: decodings that began at several places before
/// agree soon, and most of them have to meet it.
fn is_boundary(code: &[u8], base: u64, at: usize) -> bool {
    const FAR: usize = 96;
    const STARTS: usize = 16;
    if at < FAR {
        return true;
    }
    let meets = |start: usize| {
        let mut decoder =
            Decoder::with_ip(64, &code[start..], base + start as u64, DecoderOptions::NONE);
        while decoder.can_decode() && decoder.position() < at - start {
            let _ = decoder.decode();
        }
        decoder.position() == at - start
    };
    (0..STARTS).filter(|&skip| meets(at - FAR + skip)).count() * 2 >= STARTS
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: u64 = 0x10_0000;

    /// Code that decodes one byte at a time, so that any place is a boundary.
    fn padded(code: &[u8]) -> (Vec<u8>, u64) {
        let mut bytes = vec![0x90; 128];
        bytes.extend_from_slice(code);
        bytes.extend_from_slice(&[0x90; 32]);
        (bytes, BASE + 128)
    }

    fn one(code: &[u8]) -> Site {
        let (bytes, _) = padded(code);
        let found = scan(&bytes, BASE);
        assert_eq!(found.sites.len(), 1, "{found:x?}");
        assert!(found.suspects.is_empty(), "{found:x?}");
        found.sites[0].clone()
    }

    #[test]
    fn contiguous_form() {
        let site = one(&[0xb8, 0xaa, 0x01, 0, 0, 0x0f, 0x05]);
        assert_eq!((site.at, site.len, site.number), (BASE + 128, 5, 426));
        assert_eq!(site.call, site.at + 5);
        assert!(site.body.is_empty());
    }

    #[test]
    fn wide_form() {
        let site = one(&[0x48, 0xc7, 0xc0, 0xa9, 0x01, 0, 0, 0x0f, 0x05]);
        assert_eq!((site.len, site.number), (7, 425));
    }

    #[test]
    fn arguments_in_between() {
        // mov eax, 427; mov rdi, rsi; xor r10d, r10d; syscall
        let site = one(&[0xb8, 0xab, 1, 0, 0, 0x48, 0x89, 0xf7, 0x45, 0x31, 0xd2, 0x0f, 0x05]);
        assert_eq!(site.body.len(), 2);
    }

    #[test]
    fn a_jump_to_a_shared_call() {
        // mov eax, 426; jmp +1; hlt; syscall
        let site = one(&[0xb8, 0xaa, 1, 0, 0, 0xeb, 0x01, 0xf4, 0x0f, 0x05]);
        assert!(site.body.is_empty());
        assert_eq!(site.call, site.at + 8);
    }

    #[test]
    fn another_register_is_no_site() {
        // mov r8d, 426; mov eax, 9; syscall
        let (bytes, _) = padded(&[0x41, 0xb8, 0xaa, 1, 0, 0, 0xb8, 9, 0, 0, 0, 0x0f, 0x05]);
        let found = scan(&bytes, BASE);
        assert!(found.sites.is_empty() && found.suspects.is_empty(), "{found:x?}");
    }

    #[test]
    fn a_number_that_changes_is_no_site_but_a_suspect() {
        // mov eax, 426; add eax, ecx; syscall
        let (bytes, at) = padded(&[0xb8, 0xaa, 1, 0, 0, 0x01, 0xc8, 0x0f, 0x05]);
        let found = scan(&bytes, BASE);
        assert!(found.sites.is_empty());
        assert_eq!(found.suspects, [at + 7]);
    }

    #[test]
    fn a_branch_in_between_makes_a_suspect() {
        // mov eax, 426; jz +0; syscall
        let (bytes, at) = padded(&[0xb8, 0xaa, 1, 0, 0, 0x74, 0, 0x0f, 0x05]);
        let found = scan(&bytes, BASE);
        assert_eq!((found.sites.len(), found.suspects), (0, vec![at + 7]));
    }

    #[test]
    fn a_number_in_an_argument_makes_a_suspect() {
        // mov rax, rdi; syscall
        let (bytes, at) = padded(&[0x48, 0x89, 0xf8, 0x0f, 0x05]);
        assert_eq!(scan(&bytes, BASE).suspects, [at + 3]);
    }

    #[test]
    fn another_register_is_no_known_number() {
        // mov rax, rdi; xor r8d, r8d; syscall
        let (bytes, at) = padded(&[0x48, 0x89, 0xf8, 0x45, 0x31, 0xc0, 0x0f, 0x05]);
        assert_eq!(scan(&bytes, BASE).suspects, [at + 6]);
    }

    #[test]
    fn other_calls_are_left_alone() {
        // xor eax, eax; syscall; mov eax, 60; syscall
        let (bytes, at) = padded(&[0x31, 0xc0, 0x0f, 0x05, 0xb8, 60, 0, 0, 0, 0x0f, 0x05]);
        let found = scan(&bytes, BASE);
        assert!(found.sites.is_empty() && found.suspects.is_empty());
        assert_eq!(found.others, [at + 2, at + 9]);
    }

    #[test]
    fn bytes_inside_an_instruction_are_no_call() {
        // mov ecx, 0x050f0000
        let (bytes, _) = padded(&[0xb9, 0x00, 0x00, 0x0f, 0x05]);
        let found = scan(&bytes, BASE);
        assert!(found.sites.is_empty() && found.suspects.is_empty(), "{found:x?}");
    }
}

//! Machine code of the stubs that patched and trapped calls run through.

use crate::scan::Site;
use iced_x86::{BlockEncoder, BlockEncoderOptions, InstructionBlock};

/// Opcode bytes of `lea rcx, [rip + disp32]`.
const LEA_RCX: [u8; 3] = [0x48, 0x8d, 0x0d];
/// Opcode bytes of `jmp [rip + disp32]`.
const JMP_MEMORY: [u8; 2] = [0xff, 0x25];
/// `syscall`.
pub(crate) const SYSCALL: [u8; 2] = [0x0f, 0x05];

/// The distance from the end of an instruction, as its 32-bit displacement.
fn displacement(end: u64, target: u64) -> Option<[u8; 4]> {
    let distance = target.wrapping_sub(end).cast_signed();
    i32::try_from(distance).ok().map(i32::to_le_bytes)
}

/// The jump to `target` that is put at address `at`.
pub(crate) fn jump(at: u64, target: u64) -> Option<[u8; 5]> {
    let d = displacement(at + 5, target)?;
    Some([0xe9, d[0], d[1], d[2], d[3]])
}

/// Appends `jmp [rip]` and its target.
pub(crate) fn push_far_jump(code: &mut Vec<u8>, target: u64) {
    code.extend_from_slice(&JMP_MEMORY);
    code.extend_from_slice(&[0; 4]);
    code.extend_from_slice(&target.to_le_bytes());
}

/// Looks at the number with no use of the flags or of a register but rcx, which a call may
/// change: on to the end of this if it is one of io_uring's three; else the call is made here, with
/// no use of the stack, so that `clone` and `vfork` work, and the way back follows.
const LOOK: [u8; 24] = [
    0x8d,
    0x88,
    0x57,
    0xfe,
    0xff,
    0xff, // lea ecx, [rax - 425]
    0x67,
    0xe3,
    0x0f + PASS_LEN, // jecxz end
    0x8d,
    0x49,
    0xff, // lea ecx, [rcx - 1]
    0x67,
    0xe3,
    0x09 + PASS_LEN, // jecxz end
    0x8d,
    0x49,
    0xff, // lea ecx, [rcx - 1]
    0x67,
    0xe3,
    0x03 + PASS_LEN, // jecxz end
    0x0f,
    0x1f,
    0x00, // nop
];
/// The length of what `pass` gives.
const PASS_LEN: u8 = 16;

/// What a site jumps to, to stand at address `at`: what stood before the call, then rcx as the
/// instruction would leave it, then `entry`.
///
/// None if something cannot be said from there, such as an address out of reach.
pub(crate) fn site(site: &Site, at: u64, entry: u64) -> Option<Vec<u8>> {
    let back = site.call + SYSCALL.len() as u64;
    let block = InstructionBlock::new(&site.body, at);
    let mut code = BlockEncoder::encode(64, block, BlockEncoderOptions::NONE).ok()?.code_buffer;
    if !site.certain {
        code.extend_from_slice(&LOOK);
        code.extend_from_slice(&pass(back));
    }
    let end = at + (code.len() + LEA_RCX.len() + 4) as u64;
    code.extend_from_slice(&LEA_RCX);
    code.extend_from_slice(&displacement(end, back)?);
    push_far_jump(&mut code, entry);
    Some(code)
}

/// A stub that makes a trapped call that is none of ours: by its own instruction, out of the
/// trapped range, then on at `back`. It uses no stack, so that `clone` and `vfork` pass through.
pub(crate) fn pass(back: u64) -> Vec<u8> {
    let mut code = SYSCALL.to_vec();
    push_far_jump(&mut code, back);
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_reaches_two_gibibytes_and_no_further() {
        assert_eq!(jump(0x1000, 0x1005), Some([0xe9, 0, 0, 0, 0]));
        assert_eq!(jump(0x1000, 0), Some([0xe9, 0xfb, 0xef, 0xff, 0xff]));
        assert!(jump(0, 5 + i32::MAX as u64).is_some());
        assert_eq!(jump(0, 6 + i32::MAX as u64), None);
    }

    #[test]
    fn what_stands_between_keeps_its_addresses() {
        // mov eax, 426; lea rsi, [rip + 0x10]; syscall at 0x1000
        let code = [0xb8, 0xaa, 1, 0, 0, 0x48, 0x8d, 0x35, 0x10, 0, 0, 0, 0x0f, 0x05];
        let found = crate::scan::scan(&code, 0x1000, &|_| None);
        let stub = site(&found.sites[0], 0x2000, 0x1234_5678_9abc).unwrap();
        assert_eq!(stub[..5], code[..5]);
        // The same address, 0x101c, seen from 0x200c.
        assert_eq!(stub[5..12], [0x48, 0x8d, 0x35, 0x10, 0xf0, 0xff, 0xff]);
        assert_eq!(stub[12..15], LEA_RCX);
        // rcx: 0x100e seen from 0x2013.
        assert_eq!(stub[15..19], (-0x1005i32).to_le_bytes());
        assert_eq!(stub[stub.len() - 8..], 0x1234_5678_9abcu64.to_le_bytes());
    }
}

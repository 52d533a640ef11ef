//! Machine code of the stubs that patched and trapped calls run through.

use crate::scan::{CLOSING, NUMBERS, Number, Site};
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

/// `jmp rel8`.
const JMP_SHORT: u8 = 0xeb;

/// Appends `jecxz` to a place that `to` bytes of this code are before.
fn push_jecxz(code: &mut Vec<u8>, to: usize) -> Option<()> {
    let distance = to as isize - (code.len() as isize + 3);
    code.extend_from_slice(&[0x67, 0xe3, i8::try_from(distance).ok()?.cast_unsigned()]);
    Some(())
}

/// Appends a look whether eax is `number`, which jumps to a place that `to` bytes are before.
fn push_look(code: &mut Vec<u8>, number: u32, to: usize) -> Option<()> {
    code.extend_from_slice(&[0x8d, 0x88]); // lea ecx, [rax + disp32]
    code.extend_from_slice(&number.wrapping_neg().to_le_bytes());
    push_jecxz(code, to)
}

/// How many of the numbers need no hop to get past the other looks.
const HOPLESS: usize = 2;
/// The length of a short jump.
const JMP_SHORT_LEN: usize = 2;
/// `jmp rel32`, and its length.
const JMP_NEAR: u8 = 0xe9;
const JMP_NEAR_LEN: usize = 5;
/// The length of `lea ecx, [rax - disp32]; jecxz`.
const LOOK_LEN: usize = 9;
/// The length of what `pass` gives.
const PASS_LEN: usize = 16;
/// The length of the look at the flag.
const FLAG_LEN: usize = 16;

/// Tells calls apart with no use of the flags, of the stack, or of a register but rcx, which a call
/// may change; so that `clone` and `vfork` work. What is io_uring's goes on after this. What closes
/// does too, if the byte at `flag` is not 0. Every other call is made here and goes on at `back`.
fn look(number: Number, back: u64, flag: Option<u64>) -> Option<Vec<u8>> {
    let mut code = Vec::new();
    match number {
        Number::Ring => return Some(code),
        Number::Closing => {
            flag?;
            code.extend_from_slice(&[JMP_SHORT, PASS_LEN as u8]);
        }
        Number::Unknown => {
            let closing: &[u32] = if flag.is_some() { &CLOSING } else { &[] };
            // A short jump does not reach over all of it: the first numbers' goes on by a hop.
            let (far, near) = NUMBERS.split_at(NUMBERS.len() - HOPLESS);
            let at_hop = far.len() * LOOK_LEN + JMP_SHORT_LEN;
            let at_near = at_hop + JMP_NEAR_LEN;
            let at_flag = at_near + (near.len() + closing.len()) * LOOK_LEN + PASS_LEN;
            let end = at_flag + if flag.is_some() { FLAG_LEN } else { 0 };
            for number in far {
                push_look(&mut code, *number, at_hop)?;
            }
            code.extend_from_slice(&[JMP_SHORT, JMP_NEAR_LEN as u8]);
            code.push(JMP_NEAR);
            code.extend_from_slice(&u32::try_from(end - at_near).ok()?.to_le_bytes());
            let near = near.iter().map(|number| (number, end));
            for (number, to) in near.chain(closing.iter().map(|number| (number, at_flag))) {
                push_look(&mut code, *number, to)?;
            }
        }
    }
    let at_pass = code.len();
    code.extend_from_slice(&pass(back));
    if let Some(flag) = flag {
        code.extend_from_slice(&[0x48, 0xb9]); // mov rcx, imm64
        code.extend_from_slice(&flag.to_le_bytes());
        code.extend_from_slice(&[0x0f, 0xb6, 0x09]); // movzx ecx, byte ptr [rcx]
        push_jecxz(&mut code, at_pass)?;
    }
    Some(code)
}

/// What a site jumps to, to stand at address `at`: what stood before the call, then rcx as the
/// instruction would leave it, then `entry`. `flag` is the address of a byte that is not 0 while
/// calls that close descriptors matter; without it they are not looked for.
///
/// None if something cannot be said from there, such as an address out of reach.
pub(crate) fn site(site: &Site, at: u64, entry: u64, flag: Option<u64>) -> Option<Vec<u8>> {
    let back = site.call + SYSCALL.len() as u64;
    let block = InstructionBlock::new(&site.body, at);
    let mut code = BlockEncoder::encode(64, block, BlockEncoderOptions::NONE).ok()?.code_buffer;
    code.extend_from_slice(&look(site.number, back, flag)?);
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
        let stub = site(&found.sites[0], 0x2000, 0x1234_5678_9abc, None).unwrap();
        assert_eq!(stub[..5], code[..5]);
        // The same address, 0x101c, seen from 0x200c.
        assert_eq!(stub[5..12], [0x48, 0x8d, 0x35, 0x10, 0xf0, 0xff, 0xff]);
        assert_eq!(stub[12..15], LEA_RCX);
        // rcx: 0x100e seen from 0x2013.
        assert_eq!(stub[15..19], (-0x1005i32).to_le_bytes());
        assert_eq!(stub[stub.len() - 8..], 0x1234_5678_9abcu64.to_le_bytes());
    }
}

//! Machine code, by hand.

use super::*;

const BASE: u64 = 0x10_0000;

/// Code that decodes one byte at a time, so that any place is a boundary.
fn padded(code: &[u8]) -> (Vec<u8>, u64) {
    let mut bytes = vec![0x90; 128];
    bytes.extend_from_slice(code);
    bytes.extend_from_slice(&[0x90; 32]);
    (bytes, BASE + 128)
}

fn number(site: &Site) -> u32 {
    site.body[0].immediate32()
}

/// The function that all of the bytes are.
fn whole(_: u64) -> Option<(u64, u64)> {
    Some((BASE, BASE + 1024))
}

fn one(code: &[u8]) -> Site {
    let (bytes, _) = padded(code);
    let found = scan(&bytes, BASE, &whole);
    assert_eq!(found.sites.len(), 1, "{found:x?}");
    assert!(found.suspects.is_empty(), "{found:x?}");
    found.sites[0].clone()
}

#[test]
fn contiguous_form() {
    let site = one(&[0xb8, 0xaa, 0x01, 0, 0, 0x0f, 0x05]);
    assert_eq!((site.at(), number(&site)), (BASE + 128, 426));
    assert_eq!((site.call, site.body.len(), site.number), (site.at() + 5, 1, Number::Ring));
}

#[test]
fn wide_form() {
    let site = one(&[0x48, 0xc7, 0xc0, 0xa9, 0x01, 0, 0, 0x0f, 0x05]);
    assert_eq!((site.call - site.at(), number(&site)), (7, 425));
}

#[test]
fn arguments_in_between() {
    // mov eax, 427; mov rdi, rsi; xor r10d, r10d; syscall
    let site = one(&[0xb8, 0xab, 1, 0, 0, 0x48, 0x89, 0xf7, 0x45, 0x31, 0xd2, 0x0f, 0x05]);
    assert_eq!(site.body.len(), 3);
}

#[test]
fn a_jump_to_a_shared_call() {
    // mov eax, 426; jmp +1; hlt; syscall
    let site = one(&[0xb8, 0xaa, 1, 0, 0, 0xeb, 0x01, 0xf4, 0x0f, 0x05]);
    assert_eq!((site.body.len(), site.call), (1, site.at() + 8));
}

#[test]
fn another_register_is_no_site() {
    // mov r8d, 426; mov eax, 9; syscall
    let (bytes, _) = padded(&[0x41, 0xb8, 0xaa, 1, 0, 0, 0xb8, 9, 0, 0, 0, 0x0f, 0x05]);
    let found = scan(&bytes, BASE, &whole);
    assert!(found.sites.is_empty() && found.suspects.is_empty(), "{found:x?}");
}

#[test]
fn a_number_that_changes_is_looked_at_in_each_call() {
    // mov eax, 426; add eax, ecx; syscall
    let site = one(&[0xb8, 0xaa, 1, 0, 0, 0x01, 0xc8, 0x0f, 0x05]);
    assert_eq!((site.number, site.at(), site.body.len()), (Number::Unknown, BASE + 128, 2));
}

#[test]
fn a_number_in_a_register_is_looked_at_in_each_call() {
    // cmove r10d, eax; mov eax, r15d; syscall
    let site = one(&[0x44, 0x0f, 0x44, 0xd0, 0x44, 0x89, 0xf8, 0x0f, 0x05]);
    assert_eq!((site.number, site.at(), site.body.len()), (Number::Unknown, BASE + 128, 2));
}

#[test]
fn another_number_kept_in_a_register_is_left_alone() {
    // mov r12d, 9; mov edx, 3; mov eax, r12d; syscall
    let other = [0x41, 0xbc, 9, 0, 0, 0, 0xba, 3, 0, 0, 0, 0x44, 0x89, 0xe0, 0x0f, 0x05];
    let (bytes, _) = padded(&other);
    let found = scan(&bytes, BASE, &whole);
    assert!(found.sites.is_empty() && found.suspects.is_empty(), "{found:x?}");
    let mut ours = other;
    ours[2..4].copy_from_slice(&[0xaa, 1]);
    assert_eq!(one(&ours).number, Number::Unknown);
    // close is looked at too.
    ours[2..4].copy_from_slice(&[3, 0]);
    assert_eq!(one(&ours).number, Number::Unknown);
}

#[test]
fn a_branch_into_the_jump_makes_a_suspect() {
    // jz to the second; mov edi, esi; mov eax, edx; mov ecx, ecx; syscall
    let (bytes, at) = padded(&[0x74, 0x02, 0x89, 0xf7, 0x89, 0xd0, 0x89, 0xc9, 0x0f, 0x05]);
    let found = scan(&bytes, BASE, &whole);
    assert_eq!((found.sites.len(), found.suspects), (0, vec![at + 8]));
}

#[test]
fn a_branch_right_before_the_call_makes_a_suspect() {
    // mov eax, 426; jz +0; syscall
    let (bytes, at) = padded(&[0xb8, 0xaa, 1, 0, 0, 0x74, 0, 0x0f, 0x05]);
    let found = scan(&bytes, BASE, &whole);
    assert_eq!((found.sites.len(), found.suspects), (0, vec![at + 7]));
}

#[test]
fn a_function_too_short_for_a_jump_is_a_suspect() {
    // mov rax, rdi; syscall, after padding
    let (bytes, at) = padded(&[0x48, 0x89, 0xf8, 0x0f, 0x05]);
    assert_eq!(scan(&bytes, BASE, &whole).suspects, [at + 3]);
}

#[test]
fn another_register_is_no_known_number() {
    // mov rax, rdi; xor r8d, r8d; syscall
    let site = one(&[0x48, 0x89, 0xf8, 0x45, 0x31, 0xc0, 0x0f, 0x05]);
    assert_eq!(site.number, Number::Unknown);
}

#[test]
fn other_calls_are_left_alone() {
    // xor eax, eax; syscall; mov eax, 60; syscall
    let (bytes, at) = padded(&[0x31, 0xc0, 0x0f, 0x05, 0xb8, 60, 0, 0, 0, 0x0f, 0x05]);
    let found = scan(&bytes, BASE, &whole);
    assert!(found.sites.is_empty() && found.suspects.is_empty());
    assert_eq!(found.calls, [at + 2, at + 9]);
}

#[test]
fn bytes_inside_an_instruction_are_no_call() {
    // mov ecx, 0x050f0000
    let (bytes, _) = padded(&[0xb9, 0x00, 0x00, 0x0f, 0x05]);
    let found = scan(&bytes, BASE, &whole);
    assert!(found.sites.is_empty() && found.suspects.is_empty(), "{found:x?}");
}

#[test]
fn where_no_function_is_known_only_certain_sites_are_taken() {
    let nowhere = |_: u64| None;
    let (bytes, at) = padded(&[0x44, 0x0f, 0x44, 0xd0, 0x44, 0x89, 0xf8, 0x0f, 0x05]);
    let found = scan(&bytes, BASE, &nowhere);
    assert_eq!((found.sites.len(), found.suspects), (0, vec![at + 7]));
    let (bytes, _) = padded(&[0xb8, 0xaa, 0x01, 0, 0, 0x0f, 0x05]);
    assert_eq!(scan(&bytes, BASE, &nowhere).sites.len(), 1);
}

#[test]
fn calls_that_close_are_sites_where_a_function_is_known() {
    // mov eax, 3; mov edi, ebx; syscall
    let close = [0xb8, 3, 0, 0, 0, 0x89, 0xdf, 0x0f, 0x05];
    let site = one(&close);
    assert_eq!((site.number, site.at(), site.call), (Number::Closing, BASE + 128, BASE + 135));
    for other in [33u32, 292, 436] {
        let mut code = close;
        code[1..5].copy_from_slice(&other.to_le_bytes());
        assert_eq!(one(&code).number, Number::Closing);
    }
    let (bytes, _) = padded(&close);
    let found = scan(&bytes, BASE, &|_| None);
    assert!(found.sites.is_empty() && found.suspects.is_empty() && found.closes, "{found:x?}");
}

#[test]
fn each_way_to_a_shared_call_is_a_site() {
    // mov eax, 3; jmp +5; mov eax, 33; syscall
    let (bytes, _) = padded(&[0xb8, 3, 0, 0, 0, 0xeb, 5, 0xb8, 33, 0, 0, 0, 0x0f, 0x05]);
    let found = scan(&bytes, BASE, &whole);
    let mut numbers: Vec<u32> = found.sites.iter().map(number).collect();
    numbers.sort_unstable();
    assert_eq!((numbers, found.closes), (vec![3, 33], false));
}

#[test]
fn the_making_of_aio_contexts_is_found_without_decoding() {
    let seems = |code: &[u8]| seems_to_set_up_aio(&padded(code).0);
    // mov eax, 206; syscall. mov rax, 206; mov rdi, rsi; syscall. mov ebx, 206; mov rax, rbx; syscall.
    assert!(seems(&[0xb8, 206, 0, 0, 0, 0x0f, 0x05]));
    assert!(seems(&[0x48, 0xc7, 0xc0, 206, 0, 0, 0, 0x48, 0x89, 0xf7, 0x0f, 0x05]));
    assert!(seems(&[0xbb, 206, 0, 0, 0, 0x48, 0x89, 0xd8, 0x0f, 0x05]));
    // io_destroy; a number that no call follows; an addition; the end of the code.
    assert!(!seems(&[0xb8, 207, 0, 0, 0, 0x0f, 0x05]));
    assert!(!seems(&[0x0f, 0x05, 0xb8, 206, 0, 0, 0, 0xc3]));
    assert!(!seems(&[0x05, 206, 0, 0, 0, 0x0f, 0x05]));
    assert!(!seems_to_set_up_aio(&[0xb8, 206, 0, 0, 0]));
}

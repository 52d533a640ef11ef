//! The two forms of mail, field by field, from structured input.

use ringfence_backport::mail::{Mail, range_of};

fn lookup_fix() -> Mail {
    Mail {
        upstream: "baf10564fbb66ea222cae66fbff11c444590ffd9".into(),
        subject: "aio: fix io_destroy(2) vs. lookup_ioctx() race".into(),
        author: "Al Viro <viro@zeniv.linux.org.uk>".into(),
        date: "Sun, 20 May 2018 16:46:23 -0400".into(),
        body: "Text of the message.\n\nCc: stable@kernel.org\n\
               Fixes: a6d7cff472e \"fs/aio: Add explicit RCU grace period when freeing kioctx\"\n\
               Signed-off-by: Al Viro <viro@zeniv.linux.org.uk>"
            .into(),
        sign_off: Some("Greg Kroah-Hartman <gregkh@linuxfoundation.org>".into()),
        deviations: Vec::new(),
        stat: " fs/aio.c | 4 ++--\n 1 file changed, 2 insertions(+), 2 deletions(-)\n".into(),
        diff: b"diff --git a/fs/aio.c b/fs/aio.c\nindex 01..02 100644\n--- a/fs/aio.c\n+++ b/fs/aio.c\n\
                @@ -1066,8 +1066,8 @@ static struct kioctx *lookup_ioctx(unsig\n \n \
                ctx = rcu_dereference(table->table[id]);\n \tif (ctx && ctx->user_id == ctx_id) {\n\
                -\t\tpercpu_ref_get(&ctx->users);\n-\t\tret = ctx;\n\
                +\t\tif (percpu_ref_tryget_live(&ctx->users))\n+\t\t\tret = ctx;\n \t}\n out:\n \trcu_read_unlock();\n"
            .to_vec(),
    }
}

/// The parts of a mail in the order they must stand in.
fn in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let at = rest.find(part).unwrap_or_else(|| panic!("{part:?} is not next in:\n{rest}"));
        rest = &rest[at + part.len()..];
    }
}

#[test]
fn the_review_mail_has_every_field_of_its_form() {
    let text = String::from_utf8(lookup_fix().review("4.4")).unwrap();
    in_order(
        &text,
        &[
            "From: Greg Kroah-Hartman <gregkh@linuxfoundation.org>\n",
            "Subject: [PATCH 4.4] aio: fix io_destroy(2) vs. lookup_ioctx() race\n",
            "\n\n4.4-stable review patch.  If anyone has any objections, please let me know.\n\n",
            "------------------\n\n",
            "From: Al Viro <viro@zeniv.linux.org.uk>\n\n",
            "commit baf10564fbb66ea222cae66fbff11c444590ffd9 upstream.\n\n",
            "Text of the message.\n\n",
            "Cc: stable@kernel.org\n",
            "Fixes: a6d7cff472e \"fs/aio: Add explicit RCU grace period when freeing kioctx\"\n",
            "Signed-off-by: Al Viro <viro@zeniv.linux.org.uk>\n",
            "Signed-off-by: Greg Kroah-Hartman <gregkh@linuxfoundation.org>\n\n",
            "---\n fs/aio.c | 4 ++--\n 1 file changed, 2 insertions(+), 2 deletions(-)\n\n",
            "--- a/fs/aio.c\n+++ b/fs/aio.c\n@@ -1066,8 +1066,8 @@ static struct kioctx *lookup_ioctx(unsig\n",
            "-\t\tpercpu_ref_get(&ctx->users);\n",
            "+\t\tif (percpu_ref_tryget_live(&ctx->users))\n",
        ],
    );
    assert!(!text.contains("diff --git"), "a quilt diff has no head of git's");
}

fn worker_fix() -> Mail {
    Mail {
        upstream: "20c39819a27646573dfa0ac0d01c38895298a6f6".into(),
        subject: "io_uring: hold uring_lock when walking link chain in io_wq_free_work()".into(),
        author: "Jens Axboe <axboe@kernel.dk>".into(),
        body: "Text.\n\nSigned-off-by: Jens Axboe <axboe@kernel.dk>\n".into(),
        sign_off: Some("Sasha Levin <sashal@kernel.org>".into()),
        stat: " io_uring/io_uring.c | 7 ++++++-\n 1 file changed, 6 insertions(+), 1 deletion(-)\n".into(),
        diff: b"diff --git a/io_uring/io_uring.c b/io_uring/io_uring.c\nindex 97260bca67e7b..a72efb3a62bac 100644\n--- a/io_uring/io_uring.c\n+++ b/io_uring/io_uring.c\n@@ -1 +1 @@\n-a\n+b\n".to_vec(),
        ..Mail::default()
    }
}

#[test]
fn the_selection_mail_has_every_field_of_its_form() {
    let range = range_of(&["linux-7.0.y", "linux-6.19.y", "linux-6.6.y"]);
    let notes = "## Phase 1: Commit Message Forensics\nStep 1.1 Record: text.\n";
    let text = String::from_utf8(worker_fix().selection(&range, notes)).unwrap();
    in_order(
        &text,
        &[
            "Subject: [PATCH AUTOSEL 7.0-6.6] io_uring: hold uring_lock when walking link chain in io_wq_free_work()\n",
            "\n\nFrom: Jens Axboe <axboe@kernel.dk>\n\n",
            "[ Upstream commit 20c39819a27646573dfa0ac0d01c38895298a6f6 ]\n\n",
            "Text.\n\n",
            "Signed-off-by: Jens Axboe <axboe@kernel.dk>\n",
            "Signed-off-by: Sasha Levin <sashal@kernel.org>\n",
            "---\n\n",
            "## Phase 1: Commit Message Forensics\nStep 1.1 Record: text.\n\n",
            " io_uring/io_uring.c | 7 ++++++-\n 1 file changed, 6 insertions(+), 1 deletion(-)\n\n",
            "diff --git a/io_uring/io_uring.c b/io_uring/io_uring.c\n",
            "index 97260bca67e7b..a72efb3a62bac 100644\n",
            "-- \n",
        ],
    );
}

#[test]
fn a_deviation_stands_above_the_sign_off() {
    let mut mail = worker_fix();
    mail.deviations.push("io_uring.c:7: the branch already has this part".into());
    let text = String::from_utf8(mail.review("6.6")).unwrap();
    in_order(
        &text,
        &[
            "axboe@kernel.dk>\n[ backport: io_uring.c:7: the branch already has this part ]\nSigned-off-by: Sasha",
        ],
    );
}

#[test]
fn a_message_cannot_start_another_mail() {
    let mut mail = worker_fix();
    mail.body = "Text.\n\nFrom here on it is safe.".into();
    let text = String::from_utf8(mail.review("6.6")).unwrap();
    assert!(text.contains("\n>From here on"));
}

#[test]
fn names_outside_of_ascii_are_encoded_in_heads_only() {
    let mut mail = worker_fix();
    mail.author = "Jörg Ä <j@example.org>".into();
    mail.sign_off = None;
    let text = String::from_utf8(mail.review("6.6")).unwrap();
    in_order(
        &text,
        &[
            "From: =?UTF-8?q?J=C3=B6rg=20=C3=84?= <j@example.org>\n",
            "\nFrom: Jörg Ä <j@example.org>\n",
        ],
    );
}

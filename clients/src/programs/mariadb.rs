//! MariaDB: InnoDB reads and writes its files by io_uring, and must hold what it was given.

use super::Stage;
use anyhow::{Result, ensure};

pub(super) const NEEDS: &[(&str, &str)] = &[("mariadbd", "mariadb-server-core")];

/// Rows in the table: 16 MiB, four times the buffer pool, so that pages go out and come in.
const ROWS: u32 = 65_536;

pub(super) fn attempt(stage: &Stage) -> Result<()> {
    let [data, sql, result] =
        ["data", "sql", "result"].map(|name| stage.path(name).to_string_lossy().into_owned());
    std::fs::create_dir(&data)?;
    let fill = format!(
        "create database shop;\nuse shop;\n\
         create table item (id int primary key, text varchar(255)) engine=innodb;\n\
         insert into item select seq, repeat(char(65 + seq % 26), 240) from \
         seq_1_to_{ROWS};\n"
    );
    serve(stage, "mariadb, filling a table", &data, &sql, &fill)?;
    let query = format!(
        "use shop;\n\
         select count(*), sum(id), sum(crc32(text)) from item into outfile '{result}';\n\
         select count(*), sum(seq), sum(crc32(repeat(char(65 + seq % 26), 240))) from \
         seq_1_to_{ROWS} into outfile '{result}.expected';\n"
    );
    serve(stage, "mariadb, reading it after a restart", &data, &sql, &query)?;
    let [found, expected] = [result.clone(), format!("{result}.expected")].map(std::fs::read);
    ensure!(found? == expected?, "the table does not hold what was put into it");
    Ok(())
}

/// Runs the server on statements, one a line, that it reads at its start, to their end.
fn serve(stage: &Stage, title: &str, data: &str, sql: &str, statements: &str) -> Result<()> {
    std::fs::write(sql, statements)?;
    let server = format!(
        "exec mariadbd --no-defaults --user=root --bootstrap --datadir={data} --innodb-buffer-pool-size=6M \
         --innodb-use-native-aio=1 --innodb-flush-method=O_DIRECT < {sql}"
    );
    let said = stage.with_ring(title, &["sh", "-c", &server])?;
    ensure!(!said.contains("[ERROR]"), "{title}: {said}");
    Ok(())
}

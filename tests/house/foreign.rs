//! Clients that we didn't write: curl, Python's smtplib, swaks.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::support::mail::{plain, rich};
use crate::support::on_both_logs;
use crate::support::program;
use crate::support::server::{House, KEY, OnLog, text_of};

on_both_logs!(curl_sends_a_mail_and_reads_it, swaks_sends_mail_pipelined_and_not,);

fn good(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", text_of(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn curl_sends_a_mail_and_reads_it(log: OnLog) {
    let house = House::on(log);
    let server = house.start();
    let file = house.data.with_extension("eml");
    std::fs::write(&file, rich("By curl")).unwrap();
    let (smtp, http) = (format!("smtp://{}", server.smtp), format!("http://{}", server.http));
    let mut curl = program("curl", "curl");
    curl.args(["-sS", "--mail-from", "a@example.com", "--mail-rcpt", "curl@example.org", "--upload-file"]);
    good(curl.arg(&file).arg(&smtp));
    server.inbox_of("curl@example.org", 1);
    let mut curl = program("curl", "curl");
    let list = good(
        curl.args(["-sSf", "-H"])
            .arg(format!("Mailsac-Key: {KEY}"))
            .arg(format!("{http}/api/addresses/curl@example.org/messages")),
    );
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list[0]["subject"], "By curl");
    let id = list[0]["_id"].as_str().unwrap();
    let mut curl = program("curl", "curl");
    let raw = curl.args(["-sSf"]).arg(format!("{http}/api/raw/curl%40example.org/{id}?_mailsacKey={KEY}"));
    assert!(good(raw).ends_with("--outer--\r\n"));
}

#[test]
fn python_smtplib_sends_mail_and_is_told_of_refusals() {
    let house = House::new();
    let server = house.start();
    let script = r#"
import smtplib, sys
from email.message import EmailMessage
smtp = smtplib.SMTP(sys.argv[1], int(sys.argv[2]), timeout=30)
smtp.ehlo()
for extension in ("size", "8bitmime", "smtputf8", "pipelining", "enhancedstatuscodes", "chunking"):
    assert smtp.has_extn(extension), extension
for number in range(3):
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.com", "python@example.org", "mail %d" % number
    message.set_content("Hello\n.\n..\nfrom Python ☃\n")
    message.add_attachment(b"\x00\x01", maintype="application", subtype="octet-stream", filename="a.bin")
    assert smtp.send_message(message) == {}
assert smtp.noop()[0] == 250 and smtp.rset()[0] == 250 and smtp.vrfy("ann")[0] == 252
try:
    smtp.sendmail("a@example.com", [], "Subject: none\n\nnone\n")
except smtplib.SMTPDataError as error:
    assert error.smtp_code == 553, error
except smtplib.SMTPRecipientsRefused:
    pass
code, text = smtp.docmd("MAIL FROM:<a@example.com> SIZE=99999999999")
assert code == 552, (code, text)
smtp.quit()
"#;
    let mut python = program("python3", "python3");
    python.args(["-c", script]).arg(server.smtp.ip().to_string()).arg(server.smtp.port().to_string());
    good(&mut python);
    let inbox = server.inbox_of("python@example.org", 3);
    let id = inbox[0]["_id"].as_str().unwrap();
    let text = server.text(&format!("/api/text/python@example.org/{id}"));
    assert_eq!(text.replace("\r\n", "\n").trim_end(), "Hello\n.\n..\nfrom Python ☃");
}

fn swaks_sends_mail_pipelined_and_not(log: OnLog) {
    let house = House::on(log);
    let server = house.start();
    for (number, pipeline) in [None, Some("--pipeline")].into_iter().enumerate() {
        let mut swaks = program("swaks", "swaks");
        swaks.args(["--server", &server.smtp.to_string(), "--from", "a@example.com", "--to", "swaks@example.org"]);
        swaks.args(["--ehlo", "client.example.com", "--data", "-"]).args(pipeline);
        let mut child = swaks.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(&plain(&format!("swaks{number}"), 2_000)).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", text_of(&output));
        assert!(String::from_utf8_lossy(&output.stdout).contains("queued as"), "{}", text_of(&output));
    }
    server.inbox_of("swaks@example.org", 2);
}

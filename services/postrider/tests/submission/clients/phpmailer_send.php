<?php
// One mail by PHPMailer, as a program's form has been set. What refuses it is printed as it came.
use PHPMailer\PHPMailer\PHPMailer;
use PHPMailer\PHPMailer\SMTP;

$form = json_decode($argv[1], true);
foreach (['Exception', 'SMTP', 'PHPMailer'] as $name) {
    require "$argv[2]/$name.php";
}
$mail = new PHPMailer();
$mail->isSMTP();
$mail->SMTPDebug = SMTP::DEBUG_SERVER;
$mail->Debugoutput = fn ($line) => fwrite(STDERR, "$line\n");
$mail->Host = $form['host'];
$mail->Port = $form['port'];
$mail->SMTPAutoTLS = false;
$mail->SMTPSecure = ['implicit' => 'ssl', 'starttls' => 'tls', 'none' => ''][$form['tls']];
$mail->SMTPOptions = ['ssl' => ['cafile' => $form['ca']]];
$mail->SMTPAuth = $form['auth'] !== 'none';
$mail->AuthType = $form['auth'] === 'none' ? '' : strtoupper($form['auth']);
[$mail->Username, $mail->Password] = [$form['user'], $form['password']];
$mail->CharSet = 'UTF-8';
$mail->setFrom($form['from']);
$mail->addAddress($form['to']);
[$mail->Subject, $mail->Body] = [$form['subject'], $form['text']];
exit($mail->send() ? 0 : 1);

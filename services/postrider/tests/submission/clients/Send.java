import java.io.FileInputStream;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.Properties;
import javax.mail.MessagingException;
import javax.mail.Session;
import javax.mail.Transport;
import javax.mail.internet.InternetAddress;
import javax.mail.internet.MimeMessage;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/** One mail by JavaMail, as a program's form has been set. What refuses it is printed as it came. */
class Send {
    // Host, port, TLS, mechanism, user, password, sender, recipient, text, authority.
    public static void main(String[] form) throws Exception {
        Properties set = new Properties();
        set.put("mail.smtp.host", form[0]);
        set.put("mail.smtp.port", form[1]);
        set.put("mail.smtp.ssl.enable", String.valueOf(form[2].equals("implicit")));
        set.put("mail.smtp.starttls.enable", String.valueOf(form[2].equals("starttls")));
        set.put("mail.smtp.auth", String.valueOf(!form[3].equals("none")));
        set.put("mail.smtp.auth.mechanisms", form[3].toUpperCase());
        set.put("mail.smtp.ssl.socketFactory", trusting(form[9]).getSocketFactory());
        MimeMessage message = new MimeMessage(Session.getInstance(set));
        message.setFrom(new InternetAddress(form[6]));
        message.setRecipient(MimeMessage.RecipientType.TO, new InternetAddress(form[7]));
        message.setSubject("Kostenvoranschlag");
        message.setText(form[8], "utf-8");
        try {
            if (form[3].equals("none")) {
                Transport.send(message);
            } else {
                Transport.send(message, form[4], form[5]);
            }
        } catch (MessagingException refused) {
            for (Exception one = refused; one != null; one = next(one)) {
                System.err.println(one.getMessage());
            }
            System.exit(1);
        }
    }

    private static Exception next(Exception one) {
        return one instanceof MessagingException ? ((MessagingException) one).getNextException() : null;
    }

    private static SSLContext trusting(String authority) throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (FileInputStream file = new FileInputStream(authority)) {
            CertificateFactory certificates = CertificateFactory.getInstance("X.509");
            store.setCertificateEntry("authority", certificates.generateCertificate(file));
        }
        TrustManagerFactory managers =
            TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        managers.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, managers.getTrustManagers(), null);
        return context;
    }
}

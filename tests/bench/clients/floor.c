/* The floor in C: reads the bytes, takes the frames apart, and writes each payload as a line.
 *
 * floor PORT TARGET [--read]     --read: only read
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static unsigned char in[1 << 17], out[1 << 17];

static void say(int s, const char *text) {
    unsigned char frame[256] = {0x81, 0x80 | (unsigned char)strlen(text)};
    memcpy(frame + 6, text, strlen(text));
    if (write(s, frame, 6 + strlen(text)) < 0) exit(1);
}

int main(int argc, char **argv) {
    int s = socket(AF_INET, SOCK_STREAM, 0), one = 1, only_read = argc > 3;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    if (connect(s, (struct sockaddr *)&to, sizeof to)) return 1;
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    dprintf(s, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", argv[2]);
    if (read(s, in, 4096) <= 0) return 1;
    say(s, "{\"action\":\"auth\",\"key\":\"demo\"}");
    if (read(s, in, 4096) <= 0) return 1;
    say(s, "{\"action\":\"subscribe\",\"symbols\":[\"EURUSD\",\"XAUUSD\"]}");
    size_t have = 0;
    for (;;) {
        ssize_t got = read(s, in + have, (1 << 16));
        if (got <= 0) return got < 0;
        if (only_read) continue;
        have += got;
        size_t pos = 0, made = 0;
        while (have - pos >= 4) {
            size_t length = in[pos + 1], start = pos + 2;
            if (length == 126) length = (size_t)in[pos + 2] << 8 | in[pos + 3], start = pos + 4;
            if (start + length > have) break;
            if (in[pos] == 0x81) {
                memcpy(out + made, in + start, length);
                made += length;
                out[made++] = '\n';
            }
            pos = start + length;
        }
        for (size_t done = 0; done < made;) {
            ssize_t put = write(1, out + done, made - done);
            if (put < 0) return 1;
            done += put;
        }
        memmove(in, in + pos, have -= pos);
    }
}

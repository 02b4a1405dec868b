/* Preloaded into adbd: it asks for every interface and for vsock, and gets 127.0.0.1 only. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

int bind(int fd, const struct sockaddr *address, socklen_t size)
{
    int (*real)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "bind");
    if (address->sa_family == AF_INET) {
        struct sockaddr_in local = *(const struct sockaddr_in *)address;
        local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return real(fd, (const struct sockaddr *)&local, sizeof local);
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 local = *(const struct sockaddr_in6 *)address;
        inet_pton(AF_INET6, "::ffff:127.0.0.1", &local.sin6_addr);
        return real(fd, (const struct sockaddr *)&local, sizeof local);
    }
    if (address->sa_family == AF_UNIX)
        return real(fd, address, size);
    errno = EADDRNOTAVAIL;
    return -1;
}

-- The next keys, retrieved or not. ?1: the key before them, or ''. ?2: how many.
SELECT [Crash-Guid], [HasBeenRetrieved]
FROM [dsr.Crashes_$(AppId)]
WHERE [Crash-Guid] > ?1
ORDER BY [Crash-Guid]
LIMIT ?2;
